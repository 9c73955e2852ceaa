"""Front ends: from what a data set holds, images or sounds, to the images that networks see.

Those of sounds end in an image of decibels that is scaled to its own least and largest value, as
images of a data set are; they take the first samples of a sound, as many as the image shows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from utils.models.spectral.config import (
    FrontEndConfig,
    ImageFrontEndConfig,
    LeafFrontEndConfig,
    SpectrumFrontEndConfig,
)
from utils.models.spectral.leaf import Leaf
from utils.models.spectral.shapes import ImageShape
from utils.models.spectral.sounds import frames_of, to_decibels, unit_range, window_of
from utils.signals.spectra import SpectrogramConfig, mel_filters


def build_front_end(config: FrontEndConfig, shape: ImageShape) -> nn.Module:
    """A front end whose images have ``shape``.

    Raises
    ------
    ValueError
        Sounds are to become images of another shape, or with envelopes.
    """
    if isinstance(config, ImageFrontEndConfig):
        return nn.Identity()
    spectrogram = config.spectrogram
    made = (1, spectrogram.height, spectrogram.width)
    if spectrogram.n_channels > 1:
        raise ValueError(
            f"front_end.spectrogram: envelopes are not made by '{config.type}'; leave them out, or "
            "give them as auxiliary inputs"
        )
    if tuple(shape) != made:
        raise ValueError(
            f"front_end '{config.type}' makes images of (channels, height, width) = {made}, "
            f"the data set has {tuple(shape)}; adapt front_end.spectrogram"
        )
    if isinstance(config, LeafFrontEndConfig):
        return Leaf(spectrogram, config.compression)
    return Spectrum(_of_type(config))


class Spectrum(nn.Module):
    """Sounds (batch, sample) to images (batch, 1, frequency, time), 0 to 1; nothing is learned.

    The image of :func:`utils.signals.spectra.spectral_image` before it is rounded to bytes.
    """

    def __init__(self, spectrogram: SpectrogramConfig) -> None:
        super().__init__()
        self.spectrogram = spectrogram
        self.register_buffer("window", window_of(spectrogram), persistent=False)
        bands = None
        if spectrogram.type == "mel":
            bands = torch.from_numpy(mel_filters(spectrogram)).T.contiguous()
        self.register_buffer("bands", bands, persistent=False)  # (band, bin)

    def forward(self, sounds: Tensor) -> Tensor:
        """(batch, sample) -> (batch, 1, height, width)."""
        frames = frames_of(sounds, self.spectrogram) * self.window
        magnitude = torch.fft.rfft(frames).abs().mT / self.spectrogram.n_fft**0.5
        if self.bands is None:
            magnitude = magnitude[:, 1 : self.spectrogram.height + 1]
        else:
            magnitude = self.bands @ magnitude
        return unit_range(to_decibels(magnitude.square()))[:, None]


def _of_type(config: SpectrumFrontEndConfig) -> SpectrogramConfig:
    """The spectrogram as the type of the front end has it, checked."""
    return SpectrogramConfig(**{**config.spectrogram.model_dump(), "type": config.type})
