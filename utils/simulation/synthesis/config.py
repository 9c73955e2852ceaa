"""Synthesisers by name: what varies, in which range, and how their sounds become images."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import FiniteFloat, NonNegativeFloat, PositiveFloat
from pydantic import model_validator as check

from utils.config import Config, near_matches
from utils.signals.spectra import SpectrogramConfig

STEPS = 16  # of a range whose step is not given
REQUIRED = None  # value of a parameter that has no default
SAWTOOTH = {"note_number": REQUIRED, "note_velocity": REQUIRED, "log10_decay_time": REQUIRED}
LADDER = {
    "filter_enabled": 0.0,  # 0: the bare sawtooth
    "filter_cutoff": 1000.0,  # Hz
    "filter_resonance": 0.0,  # 1 would oscillate on its own
    "filter_env_attack": 0.01,  # s
    "filter_env_decay": 0.1,  # s
    "filter_env_sustain": 0.3,
    "filter_env_release": 0.2,  # s
    "filter_env_amount": 0.0,  # octaves
}
STRING = {**SAWTOOTH, "pluck_position": REQUIRED, "brightness": REQUIRED}
DEFAULTS: dict[str, dict[str, float | None]] = {  # parameters of each synth_type
    "simple": {**SAWTOOTH, **LADDER},
    "plucked": STRING,
    "modal": {**STRING, "log10_inharmonicity": REQUIRED},
}


class ParameterRange(Config):
    """A parameter from ``min`` to ``max``; ``step`` is the width of its classes.

    It does not vary where both ends are equal.
    """

    min: FiniteFloat
    max: FiniteFloat
    step: NonNegativeFloat | None = None  # None: a sixteenth of the range
    description: str = ""

    @property
    def varies(self) -> bool:
        """Does it take more than one value?"""
        return self.max > self.min

    @property
    def class_width(self) -> float:
        """The step, also where none is given; 0 where the parameter does not vary."""
        return (self.max - self.min) / STEPS if self.step is None else self.step

    @property
    def grid(self) -> np.ndarray:
        """One value for each class: min, min + step, ..., at most max."""
        if not self.varies:
            return np.array([self.min])
        n_steps = round((self.max - self.min) / self.class_width)
        return np.minimum(self.min + self.class_width * np.arange(n_steps + 1), self.max)

    @check(mode="after")
    def _check(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"max: {self.max} is below min = {self.min}")
        if self.varies and self.step == 0:
            raise ValueError("step: 0, but the parameter varies; give a step, or none")
        return self


class SynthesiserConfig(Config):
    """A synthesiser, the ranges of its parameters in the order of their heads, and its images.

    ``synth_type`` names the equations: ``simple`` is a decaying sawtooth, through a Moog ladder
    where its parameters are given; ``plucked`` and ``modal`` are strings.
    """

    name: str
    synth_type: Literal["simple", "plucked", "modal"] = "simple"
    duration: PositiveFloat = 1.0  # s
    parameters: dict[str, ParameterRange]
    image: SpectrogramConfig = SpectrogramConfig()

    @property
    def sample_rate(self) -> int:
        """Hz, of sounds and images."""
        return self.image.sample_rate

    @property
    def n_samples(self) -> int:
        """Of a whole sound."""
        return int(self.duration * self.sample_rate)

    @property
    def varying(self) -> dict[str, ParameterRange]:
        """The parameters that have a head each."""
        return {name: p for name, p in self.parameters.items() if p.varies}

    @check(mode="after")
    def _check(self) -> Self:
        known = DEFAULTS[self.synth_type]
        for name in self.parameters:
            if name not in known:
                raise ValueError(
                    f"parameters: {self.synth_type} has no '{name}'{near_matches(name, [*known])}"
                )
        missing = [
            name for name in known if known[name] is REQUIRED and name not in self.parameters
        ]
        if missing:
            raise ValueError(f"parameters: {self.synth_type} needs {missing} too")
        if "filter_enabled" not in self.parameters and LADDER.keys() & self.parameters.keys():
            raise ValueError("parameters: those of a filter need 'filter_enabled' too, 1 for on")
        if self.n_samples < self.image.n_samples:
            raise ValueError(
                f"duration: {self.duration} s are {self.n_samples} samples, the image needs "
                f"{self.image.n_samples}; make sounds longer or the image narrower"
            )
        return self
