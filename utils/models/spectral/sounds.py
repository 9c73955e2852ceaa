"""Parts of front ends: frames of sounds, decibels, images from 0 to 1; tensors, differentiable.

The definitions are those of :mod:`utils.signals.spectra`, in NumPy.
"""

from __future__ import annotations

import torch
from scipy.signal import get_window
from torch import Tensor
from torch.nn import functional

from utils.signals.spectra import FLOOR, SpectrogramConfig


def frames_of(sounds: Tensor, config: SpectrogramConfig) -> Tensor:
    """(batch, sample) -> (batch, width, n_fft), after pre-emphasis.

    Raises
    ------
    ValueError
        Other shapes, or sounds that are too short for the image.
    """
    if sounds.ndim != 2 or sounds.shape[1] < config.n_samples:
        raise ValueError(
            f"this front end takes sounds (batch, sample >= {config.n_samples}), which is "
            f"{config.width} frames; found {tuple(sounds.shape)}"
        )
    sounds = sounds[:, : config.n_samples]
    if config.pre_emphasis:
        lifted = sounds[:, 1:] - config.pre_emphasis * sounds[:, :-1]
        sounds = torch.cat([sounds[:, :1], lifted], dim=1)
    return sounds.unfold(1, config.n_fft, config.hop_length)


def window_of(config: SpectrogramConfig) -> Tensor:
    """(n_fft,) symmetric window, in the middle of its frame."""
    kind = "boxcar" if config.window_type == "rectangular" else config.window_type
    window = torch.as_tensor(get_window(kind, config.n_window, fftbins=False)).float()
    before = (config.n_fft - config.n_window) // 2
    return functional.pad(window, (before, config.n_fft - config.n_window - before))


def to_decibels(power: Tensor) -> Tensor:
    """10 log10, not below the floor, where the gradient is 0."""
    return 10 * torch.log10(power.clamp(min=FLOOR**2))


def unit_range(images: Tensor) -> Tensor:
    """(batch, height, width), each scaled to 0..1; 0 where all values are equal."""
    low, high = images.amin(dim=(1, 2), keepdim=True), images.amax(dim=(1, 2), keepdim=True)
    extent = high - low
    return (images - low) / torch.where(extent > 0, extent, 1)
