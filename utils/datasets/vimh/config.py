"""Which data set an experiment is about: a folder, or one that a synthesiser makes in memory."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from utils.config import Config


class VIMHConfig(Config):
    """``3_MODELLING/experiments/spectral/data/*.yaml``.

    Attributes
    ----------
    folder : of a VIMH data set; ``synthesiser`` and what follows it are then not used.
    synthesiser : name of one of :data:`utils.simulation.synthesis.SYNTHESISERS`.
    inputs : images, or the sounds that they were made of.
    auxiliary : inputs beside them.
    """

    folder: str | None = None
    synthesiser: str | None = None
    n_samples: PositiveInt = 1024
    sampling: Literal["uniform", "grid", "sobol"] = "uniform"
    seed: int = Field(0, ge=0, description="of the parameters, and of what is held out to validate")
    inputs: Literal["image", "audio"] = "image"
    auxiliary: tuple[Literal["scale", "envelopes"], ...] = ()
    validation_fraction: float = Field(0.2, gt=0, lt=1, description="of the training part")
    num_workers: int = Field(0, ge=0, description="processes that gather batches")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.folder is None) == (self.synthesiser is None):
            raise ValueError("data needs either a folder or a synthesiser")
        return self
