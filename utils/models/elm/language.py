"""Predict the next token of a sequence, as language models do."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from utils.models.elm.network import ELMNetwork, NetworkState
from utils.training import TrainerConfig, TrainingTask


class LanguageModelTask(TrainingTask):
    """Train a network to predict each token from those before it.

    A batch is tokens (batch, time + 1); each but the last is an input, and the one after it the
    target. Logs the loss (cross-entropy in nats per token), ``bits_per_character``, and at the end
    of each epoch ``perplexity``, the exponential of its mean loss.

    Parameters
    ----------
    network : with a front for tokens, the read-out of every step, and an output per token.
    config : settings of the training.
    characters_per_token : mean length of tokens; 1 where tokens are characters.
    carry_state : each batch goes on where the one before it ended, see :func:`parallel_streams`.
        Gradients end at the borders (truncated back-propagation through time).
    """

    network: ELMNetwork

    def __init__(
        self,
        network: ELMNetwork,
        config: TrainerConfig,
        *,
        characters_per_token: float = 1.0,
        carry_state: bool = False,
    ) -> None:
        super().__init__(network, config)
        self.characters_per_token, self.carry_state = characters_per_token, carry_state
        self._carried: dict[bool, NetworkState] = {}  # in training, and in validation

    def losses(self, batch: Tensor) -> tuple[dict[str, Tensor], int]:
        """Cross-entropy and bits per character, and the number of tokens that were predicted."""
        inputs, targets = batch[:, :-1], batch[:, 1:].long()
        trace = self.network.run(inputs, self._carried.get(self.training))
        if self.carry_state:
            self._carried[self.training] = trace.state.detach()
        nats = functional.cross_entropy(trace.output.flatten(0, 1), targets.flatten())
        bits = nats / (math.log(2) * self.characters_per_token)
        return {"loss": nats, "bits_per_character": bits}, targets.numel()

    def on_train_epoch_start(self) -> None:
        """A text begins anew."""
        self._carried.pop(True, None)

    def on_validation_epoch_start(self) -> None:
        """A text begins anew."""
        self._carried.pop(False, None)

    def on_train_epoch_end(self) -> None:
        """Log the perplexity of the epoch."""
        self._log_perplexity("train")

    def on_validation_epoch_end(self) -> None:
        """Log the perplexity of the epoch."""
        self._log_perplexity("validation")

    def _log_perplexity(self, stage: str) -> None:
        self.log(f"{stage}_perplexity", self.trainer.callback_metrics[f"{stage}_loss"].exp())


def parallel_streams(tokens: Tensor, n_streams: int, length: int) -> Tensor:
    """A text (token,) in equal parts that are read side by side, as batches that go on.

    Returns
    -------
    (batch, stream, length + 1). Stream s of a batch goes on where that of the batch before ended:
    the last token of the one, its target, is the first of the other. The end of the text that fills
    no batch is dropped.

    Raises
    ------
    ValueError
        The text is too short for a single batch.
    """
    n_batches = (len(tokens) - 1) // n_streams // length
    if n_batches < 1:
        raise ValueError(
            f"{n_streams} streams of {length} steps need {n_streams * length + 1} tokens, found "
            f"{len(tokens)}"
        )
    batches = torch.arange(n_batches)[:, None, None] * length
    streams = torch.arange(n_streams)[:, None] * (n_batches * length)
    return tokens[batches + streams + torch.arange(length + 1)]
