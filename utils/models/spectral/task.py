"""Training of spectral models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.models.spectral.config import SpectralTrainer
from utils.models.spectral.network import Batch, SpectralNetwork
from utils.models.spectral.store import describe
from utils.training import TrainingTask


class SpectralTask(TrainingTask):
    """Minimises the total loss; logs that of each head as well."""

    network: SpectralNetwork
    config: SpectralTrainer

    def __init__(self, network: SpectralNetwork) -> None:
        super().__init__(network, network.config.trainer)

    def losses(self, batch: Batch) -> tuple[dict[str, Tensor], int]:
        """Total loss and those of the heads, ``loss_<name>``; the number of samples."""
        total, *each = self.network.losses(batch).items()
        named = {f"loss_{name}": value for name, value in each}
        return dict([total]) | named, len(batch[0])

    def configure_optimizers(self) -> dict[str, Any]:
        """As all models, with one cycle of the learning rate where asked for."""
        if self.config.schedule != "one_cycle":
            return super().configure_optimizers()
        optimizer = torch.optim.AdamW(
            self.trained_parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
        )
        steps = int(self.trainer.estimated_stepping_batches) + 2
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            self.config.learning_rate,
            total_steps=steps,
            pct_start=max(self.config.warm_up, 2 / steps),  # one step at least
        )
        schedule = {"scheduler": scheduler, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A checkpoint says which model it is of."""
        checkpoint["spectral"] = describe(self.network)
