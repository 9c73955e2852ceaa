"""What is trained: a network with its loss, optimiser and logged numbers.

No model is known here by name. A family subclasses :class:`TrainingTask`; forecasters use
:class:`ForecastTask` with any network that follows :class:`ForecastNetwork`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

import lightning
import torch
from torch import Tensor, nn

from utils.training.config import TrainerConfig

if TYPE_CHECKING:
    from utils.windows import WindowBatch

MONITOR = "validation_loss"


class TrainingTask(lightning.LightningModule, ABC):
    """Base of all tasks: ``losses(batch)`` says what is minimised and what else is logged."""

    def __init__(self, network: nn.Module, config: TrainerConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config

    @abstractmethod
    def losses(self, batch: Any) -> tuple[dict[str, Tensor], int]:
        """Scalars by name, ``loss`` among them, and the number of examples in the batch."""

    def training_step(self, batch: Any, index: int) -> Tensor:
        """Loss of one batch."""
        return self._logged(batch, "train")

    def validation_step(self, batch: Any, index: int) -> None:
        """Logs the means over the validation windows."""
        self._logged(batch, "validation")

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW, with a cosine schedule over the longest possible training where asked for."""
        optimizer = torch.optim.AdamW(
            self.trained_parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
        )
        if self.config.schedule == "constant":
            return {"optimizer": optimizer}
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def trained_parameters(self) -> list[Any]:
        """All parameters that are not frozen; a family may give groups with rates of their own."""
        return [p for p in self.network.parameters() if p.requires_grad]

    def _logged(self, batch: Any, stage: str) -> Tensor:
        values, size = self.losses(batch)
        for name, value in values.items():
            self.log(
                f"{stage}_{name}",
                value.detach(),
                batch_size=size,
                on_step=False,
                on_epoch=True,
                sync_dist=True,
                prog_bar=name == "loss",
            )
        return values["loss"]


def past_covariates(batch: WindowBatch) -> Tensor | None:
    """Covariates of the context, NaN where missing: what forecasters expect."""
    if batch.past_covariate_mask is None:
        return batch.past_covariates
    return torch.where(batch.past_covariate_mask, batch.past_covariates, torch.nan)


class ForecastNetwork(Protocol):
    """A network that forecasts windows."""

    def __call__(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Any:
        """(batch, context, neuron) -> whatever ``loss`` and ``point`` understand.

        Missing activity is 0 with mask False, missing covariates are NaN.
        """

    def loss(self, output: Any, future: Tensor, mask: Tensor | None) -> Tensor:
        """Scalar to minimise; entries with mask False do not count."""

    def point(self, output: Any) -> Tensor:
        """The forecast itself, (batch, horizon, neuron)."""


class ForecastTask(TrainingTask):
    """Forecast the future frames of window batches; logs the loss and the squared error."""

    network: ForecastNetwork

    def losses(self, batch: WindowBatch) -> tuple[dict[str, Tensor], int]:
        """Loss and mean squared error over the observed future entries."""
        return _forecast_losses(self.network, batch)


class SessionsTask(TrainingTask):
    """The same for several sessions, each with a network of its own that may share parts.

    A batch comes with the place of its session's network.
    """

    network: nn.ModuleList

    def losses(self, batch: tuple[int, WindowBatch]) -> tuple[dict[str, Tensor], int]:
        """Loss and mean squared error over the observed future entries of one session."""
        place, windows = batch
        return _forecast_losses(self.network[place], windows)


def _forecast_losses(network: ForecastNetwork, batch: WindowBatch) -> tuple[dict[str, Tensor], int]:
    output = network(batch.past, batch.past_mask, past_covariates(batch))
    loss = network.loss(output, batch.future, batch.future_mask)
    squares = (network.point(output).detach().float() - batch.future).square()
    if batch.future_mask is None:
        mse = squares.mean()
    else:
        mse = (squares * batch.future_mask).sum() / batch.future_mask.sum().clamp(min=1)
    return {"loss": loss, "mse": mse}, len(batch)
