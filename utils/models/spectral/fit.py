"""Train a spectral model on a data set of images or sounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from pathlib import Path
from typing import NamedTuple, Protocol

import lightning

from utils.models.spectral.config import SpectralConfig
from utils.models.spectral.heads import ParameterLike, heads_of
from utils.models.spectral.network import Batch, SpectralNetwork, build_network
from utils.models.spectral.shapes import ImageShape
from utils.models.spectral.task import SpectralTask
from utils.training import TrainingResult, fit_task


class Loader(Sized, Iterable[Batch], Protocol):
    """Batches, with their number."""


class SpectralData(Protocol):
    """What is trained on, such as :class:`utils.datasets.vimh.VIMHDataModule`."""

    parameters: Sequence[ParameterLike]
    image_shape: ImageShape
    n_auxiliary: int

    def train_dataloader(self) -> Loader:
        """Batches to train on."""

    def val_dataloader(self) -> Loader:
        """Batches that choose the best epoch."""


class SpectralFit(NamedTuple):
    """A trained model, and what its training did."""

    model: SpectralNetwork
    training: TrainingResult


def fit_spectral(
    config: SpectralConfig,
    data: SpectralData,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    callbacks: Sequence[lightning.Callback] = (),
) -> SpectralFit:
    """Build a model for a data set and train it; it keeps the weights of its best epoch.

    The best epoch is that of the smallest total loss on the validation samples, which are carved
    from the training part; the test part is never looked at.

    Parameters
    ----------
    data : batches are as large as the data set makes them.
    folder : keeps logs and checkpoints; without it they are dropped after training.
    resume : continue an interrupted training in ``folder``.
    callbacks : run beside the usual ones.
    """
    model = build_network(
        SpectralConfig(**{name: getattr(config, name) for name in SpectralConfig.model_fields}),
        data.image_shape,
        heads_of(data.parameters),
        data.n_auxiliary,
    )
    training = fit_task(
        SpectralTask(model),
        data.train_dataloader(),
        data.val_dataloader(),
        config.trainer,
        folder=None if folder is None else Path(folder),
        resume=resume,
        callbacks=callbacks,
    )
    return SpectralFit(model.eval(), training)
