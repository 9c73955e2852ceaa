"""Name what a sequence is: cross-entropy on one, all or the mean of the outputs of its steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, get_args

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, nn
from torch.nn import functional

from utils.config import ConfigError, near_matches
from utils.models.elm.network import Readout, read_out
from utils.training import TrainerConfig, TrainingTask

READOUTS = get_args(Readout)


class LabelledEvents(Protocol):
    """A batch of spikes with ``labels`` (batch,), or (batch, time) where each step has its own.

    ``idx``, ``ptr`` and ``val`` are those of :meth:`utils.models.elm.ELMv1.forward_events`.
    """

    idx: Tensor
    ptr: Tensor
    val: Tensor | None
    labels: Tensor


Batch = LabelledEvents | tuple[Tensor, Tensor]  # or inputs (batch, time, input) and labels


class SequenceClassificationTask(TrainingTask):
    """Train a network with outputs (batch, time, class) to name sequences.

    Parameters
    ----------
    network : takes inputs (batch, time, input), and by ``forward_events`` batches of spikes.
    config : settings of the training.
    readout : which outputs are class scores: ``"last"``, those of the last step; ``"mean"``, the
        mean over time; ``"every"``, each step, with the label of the sequence or of the step.
    input_dropout : share of the inputs (of the events of spikes) that are left out at random in
        training, the others weigh more; the published ELM neurons were trained with 0.5 on SHD.

    Raises
    ------
    ConfigError
        Unknown readout.
    """

    def __init__(
        self,
        network: nn.Module,
        config: TrainerConfig,
        readout: str = "last",
        *,
        input_dropout: float = 0.0,
    ) -> None:
        super().__init__(network, config)
        if readout not in READOUTS:
            raise ConfigError(
                f"unknown readout '{readout}'{near_matches(readout, READOUTS)}; expected one of "
                f"{', '.join(READOUTS)}"
            )
        self.readout, self.input_dropout = readout, input_dropout

    def losses(self, batch: Batch) -> tuple[dict[str, Tensor], int]:
        """Cross-entropy and the share of right answers."""
        dropout = self.input_dropout if self.training else 0.0
        scores, labels = class_scores(self.network, batch, self.readout, dropout)
        accuracy = (scores.argmax(dim=1) == labels).float().mean()
        values = {"loss": functional.cross_entropy(scores, labels), "accuracy": accuracy}
        return values, len(labels)


def class_scores(
    network: nn.Module, batch: Batch, readout: str, input_dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Scores (answer, class) before the softmax, and labels (answer,).

    An answer is a sequence; with the readout ``"every"``, a step, sequence after sequence.
    """
    if hasattr(batch, "ptr"):
        labels, val = batch.labels, batch.val
        if input_dropout:
            val = torch.ones(len(batch.idx), device=batch.idx.device) if val is None else val
            val = functional.dropout(val.float(), input_dropout)
        outputs = network.forward_events(batch.idx, batch.ptr, val)
    else:
        inputs, labels = batch
        if input_dropout:
            inputs = functional.dropout(inputs.float(), input_dropout)
        outputs = network(inputs)
    if readout != "every":
        return read_out(outputs, readout), labels
    each = labels if labels.ndim == 2 else labels[:, None].expand(outputs.shape[:2])
    return outputs.flatten(0, 1), each.flatten()


@torch.no_grad()
def classify(
    network: nn.Module, batches: Iterable[Batch], readout: str = "last"
) -> tuple[Tensor, Tensor]:
    """True and predicted classes (answer,) of all batches, on the CPU; see :func:`class_scores`."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    truth, predicted = [], []
    for batch in batches:
        scores, labels = class_scores(network, move_data_to_device(batch, device), readout)
        truth.append(labels.cpu())
        predicted.append(scores.argmax(dim=1).cpu())
    network.train(was_training)
    return torch.cat(truth), torch.cat(predicted)
