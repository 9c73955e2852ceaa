"""Forecasters that are trained by gradient: a torch network inside the common interface."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Self

import lightning
import torch
from torch import Tensor, nn

from utils.models.forecasting.base import Forecaster, ForecasterConfig
from utils.training import ForecastTask, TrainerConfig, TrainingResult, fit_task
from utils.training.config import choose_device
from utils.training.fit import quiet_lightning
from utils.windows.module import WindowLoader

if TYPE_CHECKING:
    from utils.windows import WindowData

WINDOWS_AT_ONCE = 256


class NetworkConfig(ForecasterConfig):
    """Settings that all trained forecasters share."""

    trainer: TrainerConfig = TrainerConfig()


class NetworkForecaster(Forecaster):
    """A forecaster whose network follows :class:`utils.training.task.ForecastNetwork`.

    A model implements ``_build`` (an untrained network for known sizes) and ``_prepare``
    (statistics of the training block, kept in buffers of the network).
    """

    Config = NetworkConfig
    network: nn.Module
    training: TrainingResult | None = None

    def fit(self, data: WindowData, *, folder: Path | None = None, resume: bool = False) -> Self:
        """Train on the training windows and keep the weights of the best validation epoch.

        Parameters
        ----------
        folder : keeps logs and checkpoints (best and last) where given.
        resume : continue the training that was interrupted in ``folder``.
        """
        self._logs = (folder, resume)
        return super().fit(data)

    def _fit(self, data: WindowData) -> None:
        trainer: TrainerConfig = self.config.trainer
        folder, resume = self._logs
        with quiet_lightning():
            lightning.seed_everything(trainer.seed, workers=True, verbose=False)
        self.network = self._build()
        self._prepare(data)
        task = ForecastTask(self.network, trainer)
        train = WindowLoader(
            data.train,
            trainer.batch_size,
            shuffle=True,
            seed=trainer.seed,
            stride=trainer.stride,
        )
        validation = WindowLoader(
            data.validation, trainer.batch_size, stride=trainer.validation_stride
        )
        self.training = fit_task(task, train, validation, trainer, folder=folder, resume=resume)
        self._ready()

    @abstractmethod
    def _build(self) -> nn.Module:
        """An untrained network for the sizes in ``self.fitted_on``."""

    @abstractmethod
    def _prepare(self, data: WindowData) -> None:
        """Fill the network's buffers with statistics of the training block."""

    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        device = next(self.network.parameters()).device
        parts = (part if part is None else part.to(device) for part in (past, mask, covariates))
        pieces = zip(*(_pieces(part, len(past)) for part in parts))
        futures = [self.network.point(self.network(*piece)).float() for piece in pieces]
        return (
            torch.cat(futures)
            if futures
            else past.new_zeros(0, self._fitted().horizon, past.shape[2])
        )

    def _arrays(self) -> dict[str, Tensor]:
        return {name: value.cpu() for name, value in self.network.state_dict().items()}

    def _restore(self, arrays: dict[str, Tensor]) -> None:
        self.network = self._build()
        self.network.load_state_dict(arrays)
        self._ready()

    def _ready(self) -> None:
        """On the device, without dropout: from here on a forecast is deterministic."""
        self.network.to(choose_device(self.config.trainer.device)).eval().requires_grad_(False)


def _pieces(part: Tensor | None, n: int):
    if part is None:
        return [None] * -(-n // WINDOWS_AT_ONCE)
    return part.split(WINDOWS_AT_ONCE) if n else []
