"""Train a neuron to do what another neuron did: spikes and voltage of NeuronIO."""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.nn import functional

from utils.config import Config
from utils.models.elm.neuron import ELMv1, ELMv2, build_neuron
from utils.training import TrainerConfig, TrainingTask

RAREST = 1e-6  # spikes per ms that a neuron may start with


class NeuronIOWindows(Config):
    """Arguments of :class:`utils.datasets.neuronio.NeuronIODataModule`."""

    window: int = Field(500, ge=1, description="ms")
    burn_in: int = Field(500, ge=0, description="ms at the start of simulations, left out")
    batches_per_epoch: int = Field(10_000, ge=1)
    validation_fraction: float = Field(0.1, gt=0, lt=1, description="of the simulations")


class NeuronIOExperiment(Config):
    """``3_MODELLING/experiments/elm/neuronio.yaml``, checked as a whole."""

    version: Literal["v1", "v2"] = "v1"
    neuron: dict[str, Any]  # arguments of the ELM neuron
    windows: NeuronIOWindows
    loss_burn_in: int = Field(0, ge=0, description="ms at the start of windows, without a loss")
    trainer: TrainerConfig

    @field_validator("neuron")
    @classmethod
    def _can_be_built(cls, neuron: dict[str, Any], others: ValidationInfo) -> dict[str, Any]:
        build_neuron(others.data.get("version", "v1"), neuron)
        return neuron

    def build_neuron(self) -> ELMv1 | ELMv2:
        """A neuron with fresh weights."""
        return build_neuron(self.version, self.neuron)


class NeuronIOEvents(Protocol):
    """A batch of windows; ``idx``, ``ptr`` and ``val`` are those of ``forward_events``."""

    idx: Tensor
    ptr: Tensor
    val: Tensor | None
    spikes: Tensor  # (batch, time) 0 or 1
    soma: Tensor  # (batch, time) scaled voltage


Batch = NeuronIOEvents | tuple[Tensor, tuple[Tensor, Tensor]]  # or inputs, (spikes, soma)


class NeuronIOTask(TrainingTask):
    """Logs ``loss``, ``bce`` and ``mse``, see :func:`neuronio_losses`.

    Parameters
    ----------
    network : gives (batch, time, 2) for inputs (batch, time, input), and by ``forward_events`` for
        batches of events: logit of a spike, and scaled voltage.
    config : settings of the training.
    burn_in : ms at the start of windows that do not count.
    """

    def __init__(self, network: nn.Module, config: TrainerConfig, burn_in: int = 0) -> None:
        super().__init__(network, config)
        self.burn_in = burn_in

    def losses(self, batch: Batch) -> tuple[dict[str, Tensor], int]:
        """Losses of a batch and its number of windows."""
        if hasattr(batch, "ptr"):
            output = self.network.forward_events(batch.idx, batch.ptr, batch.val)
            spikes, soma = batch.spikes, batch.soma
        else:
            inputs, (spikes, soma) = batch
            output = self.network(inputs)
        return neuronio_losses(output, spikes, soma, self.burn_in), len(spikes)


@torch.no_grad()
def start_at_rate(neuron: ELMv1 | ELMv2, rate: float) -> None:
    """Let a fresh neuron predict spikes with the probability ``rate`` per ms.

    Spikes are rare. A neuron that starts at one half first learns to say no, most of all when much
    goes on, and needs hundreds of steps to unlearn that (the bias of Lin et al., "Focal Loss for
    Dense Object Detection", ICCV 2017).
    """
    rate = min(max(rate, RAREST), 1 - RAREST)
    neuron.w_y.bias[0] = math.log(rate / (1 - rate))


def neuronio_losses(
    output: Tensor, spikes: Tensor, soma: Tensor, burn_in: int = 0
) -> dict[str, Tensor]:
    """``bce`` of spikes, ``mse`` of the scaled voltage, and as ``loss`` their mean.

    Parameters
    ----------
    output : (batch, time, 2) logit of a spike and scaled voltage.
    spikes, soma : (batch, time) 0 or 1, and scaled voltage.
    burn_in : ms at the start that do not count.

    Raises
    ------
    ValueError
        The burn-in leaves nothing.
    """
    if not 0 <= burn_in < output.shape[1]:
        raise ValueError(
            f"burn_in must be 0 or more, and less than the {output.shape[1]} ms of a window; found "
            f"{burn_in}"
        )
    logit, voltage = output[:, burn_in:].unbind(dim=2)
    bce = functional.binary_cross_entropy_with_logits(logit, spikes[:, burn_in:])
    mse = functional.mse_loss(voltage, soma[:, burn_in:])
    return {"loss": (bce + mse) / 2, "bce": bce, "mse": mse}
