"""Experiments with twins: model, data and training in one checked file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field, PositiveInt

from utils.config import Config
from utils.models.v1_twin.build import build_model
from utils.models.v1_twin.config import TwinConfig
from utils.models.v1_twin.losses import LossName
from utils.models.v1_twin.regularise import Regulariser
from utils.models.v1_twin.task import TwinTrainer
from utils.models.v1_twin.twin import V1Twin


class TwinTraining(Config):
    """How a twin is trained.

    Attributes
    ----------
    loss : for spike counts, dF/F or deconvolved activity, see ``losses.py``.
    start : of the readouts: biases from mean rates, or places and weights as well, from averages
        of the core's features (for gaussian readouts).
    """

    loss: LossName = "poisson"
    start: Literal["mean_rates", "features"] = "mean_rates"
    regularisers: tuple[Regulariser, ...] = ()
    trainer: TwinTrainer = TwinTrainer()


class TwinExperiment(TwinTraining):
    """``3_MODELLING/experiments/v1_twin/training/*.yaml``, checked as a whole.

    Attributes
    ----------
    data : data sets, see :func:`utils.models.v1_twin.load_dataset_configs`; None where recordings
        are made in memory, as of a session.
    """

    model: TwinConfig
    data: str | None = None
    sequence_bins: PositiveInt = Field(120, description="bins that are predicted in one pass")
    num_workers: int = Field(0, ge=0, description="processes that gather batches")

    @property
    def loading(self) -> dict[str, Any]:
        """Arguments of :class:`utils.datasets.v1.V1DataModule` beside the data sets."""
        return {
            "sequence_bins": self.sequence_bins,
            "batch_size": self.trainer.batch_size,
            "seed": self.trainer.seed,
            "num_workers": self.num_workers,
        }

    def build_model(self, dataset_configs: Sequence[Any]) -> V1Twin:
        """A twin with fresh weights, which the seed of the training decides."""
        torch.manual_seed(self.trainer.seed)
        return build_model(self.model, dataset_configs)
