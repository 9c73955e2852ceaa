"""Experiments with spectral models: data, model, loss and training in one checked file."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from utils.datasets.vimh.config import VIMHConfig
from utils.models.spectral.config import SpectralConfig


class SpectralExperiment(SpectralConfig):
    """``3_MODELLING/experiments/spectral/*.yaml``.

    Attributes
    ----------
    data : see :func:`utils.datasets.vimh.vimh_data`.
    """

    data: VIMHConfig

    @model_validator(mode="after")
    def _inputs_fit_the_front_end(self) -> Self:
        if (self.front_end.type == "image") != (self.data.inputs == "image"):
            raise ValueError(
                f"front_end '{self.front_end.type}' does not take data.inputs = "
                f"'{self.data.inputs}': 'image' takes images, all others audio"
            )
        return self
