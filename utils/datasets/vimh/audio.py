"""The sounds behind the images of a data set, for networks with a front end of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from utils.datasets.vimh.auxiliary import Auxiliary
from utils.datasets.vimh.module import Samples, VIMHDataModule
from utils.datasets.vimh.records import VIMHSplit
from utils.signals.spectra import SpectrogramConfig
from utils.simulation.synthesis import SynthesiserConfig, synthesise, synthesiser_config

SOUNDS_AT_ONCE = 1024  # made whole, before they are cut to what images show


class VIMHAudioModule(VIMHDataModule):
    """As :class:`VIMHDataModule`, with sounds (B, sample) float32 in place of images.

    Sounds are made again from the parameters, exact ones where the data set has them, else as
    precise as a byte is; they are cut to the samples that the images show, and kept in memory.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.synthesiser = synthesiser_of(self.data.metadata)
        self._sounds: dict[VIMHSplit, Samples] = {}  # of the parts that were asked for

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Of the images that front ends make: without envelopes and copies of channels."""
        _, height, width = self.data.image_shape
        return 1, height, width

    def samples(self, part: VIMHSplit) -> Samples:
        """What batches of a part are taken from."""
        if part not in self._sounds:
            self._sounds[part] = _Sounds(part, self.auxiliary, self.synthesiser)
        return self._sounds[part]


class _Sounds(Samples):
    """The sounds of a part, made once."""

    def __init__(
        self, part: VIMHSplit, auxiliary: Auxiliary, synthesiser: SynthesiserConfig
    ) -> None:
        super().__init__(part, auxiliary)
        self.sounds = torch.from_numpy(sounds_of(part, synthesiser))

    def inputs(self, samples: NDArray[np.int64]) -> Tensor:
        """(B, sample) float32."""
        return self.sounds[torch.from_numpy(samples)]


def sounds_of(part: VIMHSplit, synthesiser: SynthesiserConfig) -> NDArray[np.float32]:
    """(n, sample) sounds of a part, as long as its images show."""
    if part.exact is None:
        values = np.stack([part.values[p.name] for p in part.parameters], axis=1)
    else:
        values = part.exact.values
    sounds = np.empty((len(part), synthesiser.image.n_samples), np.float32)
    for first in range(0, len(part), SOUNDS_AT_ONCE):
        rows = slice(first, first + SOUNDS_AT_ONCE)
        drawn = {p.name: values[rows, i] for i, p in enumerate(part.parameters)}
        sounds[rows] = synthesise(synthesiser, drawn)[:, : sounds.shape[1]]
    return sounds


def synthesiser_of(metadata: Mapping[str, Any]) -> SynthesiserConfig:
    """The synthesiser that made a data set, from what its JSON file says.

    Raises
    ------
    ConfigError
        The file lacks what a synthesiser needs, or was made by one that is not known here.
    """
    spectrum, mel = metadata.get("spectrogram_config", {}), metadata.get("mel_config", {})
    image = {
        **{key: spectrum[key] for key in SpectrogramConfig.model_fields if key in spectrum},
        **mel,
        "height": metadata["height"],
        "width": metadata["width"],
        "pre_emphasis": metadata.get("pre_emphasis_coefficient", 0.0),
    }
    ranges = {
        name: {key: entry.get(key) for key in ("min", "max", "step")}
        for name, entry in metadata["parameter_mappings"].items()
    }
    return synthesiser_config(
        {
            "name": metadata.get("dataset_name", "unnamed"),
            "synth_type": metadata.get("synth_type"),
            "duration": metadata.get("duration"),
            "parameters": ranges,
            "image": image,
        }
    )
