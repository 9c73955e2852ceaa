"""Spectra of sounds as images: short-time Fourier transform, mel bands, envelopes.

Sounds are ``(n, samples)`` and magnitudes ``(n, frequency, time)``, lowest frequency first. Single
precision throughout, in the order of operations of NSMT (neural-spectral-modeling-template), so
that its images come out the same.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic import model_validator as check
from scipy.fft import rfft
from scipy.signal import get_window

from utils.config import Config

FLOOR = 1e-10  # magnitude of silence, -200 dB
GREY_LEVELS, MIDDLE_GREY = 255, 128
TEMPORAL_TAPS, SPECTRAL_TAPS = 5, 7  # of the boxes that smooth envelopes
_AT_ONCE = 2**18  # samples in frames at a time: bounds memory, and they stay in the cache

Image = tuple[np.ndarray, np.ndarray]


class SpectrogramConfig(Config):
    """How a sound becomes an image of ``height`` frequencies and ``width`` frames.

    The first ``width`` frames are seen, the sound after them is not. ``stft`` shows bins 1 to
    ``height`` (0 Hz is left out), ``mel`` as many triangular bands.
    """

    type: Literal["stft", "mel"] = "stft"
    sample_rate: PositiveInt = 8000  # Hz
    height: PositiveInt = 32
    width: PositiveInt = 32
    n_fft: PositiveInt = 80
    n_window: PositiveInt = 80
    hop_length: PositiveInt = 80
    window_type: Literal["rectangular", "hann", "hamming", "blackman"] = "rectangular"
    freq_min: NonNegativeFloat = 40.0  # Hz, where the first mel band begins
    freq_max_ratio: Annotated[PositiveFloat, Field(le=1)] = 0.9  # end of the last, of Nyquist
    pre_emphasis: Annotated[float, Field(ge=0, lt=1)] = 0.0
    temporal_envelope: bool = False  # as a further channel
    spectral_envelope: bool = False  # as a further channel
    normalized: bool = False  # divides the image by both envelopes

    @property
    def n_samples(self) -> int:
        """Samples of a sound that its image depends on."""
        return (self.width - 1) * self.hop_length + self.n_fft

    @property
    def n_channels(self) -> int:
        """The image itself and its envelopes."""
        return 1 + self.temporal_envelope + self.spectral_envelope

    @check(mode="after")
    def _check(self) -> Self:
        if self.n_window > self.n_fft:
            raise ValueError(f"n_window: {self.n_window} samples do not fit n_fft = {self.n_fft}")
        if self.type == "stft" and self.height > self.n_fft // 2:
            raise ValueError(
                f"height: n_fft = {self.n_fft} has {self.n_fft // 2} bins above 0 Hz, "
                f"not {self.height}"
            )
        if self.type == "mel":
            mel_filters(self)
        if self.normalized and self.n_channels == 1:
            raise ValueError("normalized: only with an envelope, temporal or spectral, beside it")
        return self


def spectral_image(audio: np.ndarray, config: SpectrogramConfig) -> Image:
    """Images of sounds in grey levels, each scaled to its own least and largest value.

    Parameters
    ----------
    audio : ``(n, samples)`` or one sound ``(samples,)``; finite.
    config : the transform and the size of the image.

    Returns
    -------
    images : ``(n, channels, height, width)`` uint8, row 0 is the lowest frequency. An image of one
        value, such as silence, is 0.
    scale : ``(n, 2)`` float32, dB of grey levels 0 and 255 of the spectrum (also where envelopes
        are added, which are made from its grey levels).

    Raises
    ------
    ValueError
        A sound that is too short for the image, or not finite.
    """
    sounds = _sounds(audio, config.n_samples)
    images = np.empty((len(sounds), config.n_channels, config.height, config.width), np.uint8)
    scale = np.empty((len(sounds), 2), np.float32)
    step = max(1, _AT_ONCE // (config.width * config.n_fft))
    for first in range(0, len(sounds), step):
        rows = slice(first, first + step)
        level = decibels(_spectra(sounds[rows, : config.n_samples], config))[:, None]
        images[rows], scale[rows] = grey_levels(level)
        if config.n_channels > 1:
            images[rows] = add_envelopes(images[rows, :1], config)[0]
    return images, scale


def stft_magnitude(audio: np.ndarray, config: SpectrogramConfig) -> np.ndarray:
    """Magnitudes of all whole frames of ``(n, samples)``, ``(n, n_fft // 2 + 1, frames)`` float32.

    Frames begin at multiples of the hop, the first at the first sample. The symmetric window lies
    in the middle of the ``n_fft`` samples of its frame; magnitudes are divided by sqrt(n_fft).
    """
    sounds = _sounds(audio, config.n_fft)
    margin = (config.n_fft - config.n_window) // 2
    window = np.zeros(config.n_fft, np.float32)
    window[margin : margin + config.n_window] = _window(config.window_type, config.n_window)
    views = np.lib.stride_tricks.sliding_window_view(sounds, config.n_fft, axis=1)
    frames = views[:, :: config.hop_length] * window  # (n, frames, n_fft)
    magnitude = np.abs(rfft(frames, axis=2, overwrite_x=True))
    magnitude *= np.float32(config.n_fft**-0.5)
    return magnitude.swapaxes(1, 2)


def mel_filters(config: SpectrogramConfig) -> np.ndarray:
    """Weights of bins in ``height`` mel bands, ``(n_fft // 2 + 1, height)`` float32.

    Triangles from ``freq_min`` to ``freq_max_ratio`` times Nyquist, evenly spaced and overlapping
    by half on the mel scale 1127 ln(1 + f / 700); the weights of a band add up to 1.

    Raises
    ------
    ValueError
        Bands so narrow that no bin lies in them.
    """
    ends = config.freq_min, config.freq_max_ratio * config.sample_rate / 2
    mel = np.linspace(*(1127 * np.log1p(np.divide(ends, 700))), config.height + 2)
    corners = 700 * np.expm1(mel / 1127) * config.n_fft / config.sample_rate  # in bins
    left, peak, right = corners[:-2], corners[1:-1], corners[2:]
    bins = np.arange(config.n_fft // 2 + 1)[:, None]
    rising, falling = (bins - left) / (peak - left), (right - bins) / (right - peak)
    weights = np.maximum(np.minimum(rising, falling), 0)
    area = weights.sum(0)
    if not area.all():
        raise ValueError(
            f"height: {np.sum(area == 0)} of {config.height} mel bands hold no bin of "
            f"n_fft = {config.n_fft}; take fewer bands or a longer n_fft"
        )
    return (weights / area).astype(np.float32)


def pre_emphasis(audio: np.ndarray, coefficient: float) -> np.ndarray:
    """y[n] = x[n] - coefficient x[n-1] along the last axis, which lifts high frequencies."""
    emphasised = np.array(audio)
    emphasised[..., 1:] -= audio.dtype.type(coefficient) * audio[..., :-1]
    return emphasised


def decibels(magnitude: np.ndarray) -> np.ndarray:
    """20 log10 of magnitudes, not below that of ``FLOOR``."""
    return 20 * np.log10(np.maximum(magnitude, magnitude.dtype.type(FLOOR)))


def grey_levels(values: np.ndarray) -> Image:
    """Scale each entry of the first axis to 0..255; its least and largest value ``(n, 2)``."""
    unit, scale = _unit_range(values)
    return np.rint(unit * GREY_LEVELS).astype(np.uint8), scale


def temporal_envelope(images: np.ndarray) -> np.ndarray:
    """Sum over frequency of ``(n, 1, H, W)``, smoothed by a box; ``(n, 1, 1, W)`` float32."""
    return _box(images.sum(2, keepdims=True, dtype=np.float32), TEMPORAL_TAPS, axis=3)


def spectral_envelope(images: np.ndarray) -> np.ndarray:
    """Mean over time of ``(n, 1, H, W)``, smoothed by a box; ``(n, 1, H, 1)`` float32."""
    return _box(images.mean(3, keepdims=True, dtype=np.float32), SPECTRAL_TAPS, axis=2)


def add_envelopes(images: np.ndarray, config: SpectrogramConfig) -> Image:
    """Grey levels with their envelopes as further channels, all of one scale.

    Parameters
    ----------
    images : ``(n, 1, H, W)`` uint8.
    config : which envelopes, and whether the image is divided by both.

    Returns
    -------
    images : ``(n, C, H, W)`` uint8, cut off to whole levels (not rounded, as those of a spectrum
        are); 128 where all values are equal.
    scale : ``(n, 2)`` float32, values of grey levels 0 and 255.
    """
    temporal, spectral = temporal_envelope(images), spectral_envelope(images)
    first = images.astype(np.float32)
    if config.normalized:
        first = first / (temporal + np.float32(FLOOR)) / (spectral + np.float32(FLOOR))
    added = [temporal] * config.temporal_envelope + [spectral] * config.spectral_envelope
    stack = [first, *(np.broadcast_to(envelope, images.shape) for envelope in added)]
    unit, scale = _unit_range(np.concatenate(stack, axis=1))
    levels = np.where(np.diff(scale)[..., None, None] > 0, unit * GREY_LEVELS, MIDDLE_GREY)
    return levels.astype(np.uint8), scale


def _unit_range(values: np.ndarray) -> Image:
    """Each entry of the first axis scaled to 0..1, 0 where it is constant; its ends ``(n, 2)``."""
    axes = tuple(range(1, values.ndim))
    low, high = values.min(axes, keepdims=True), values.max(axes, keepdims=True)
    unit = (values - low) / np.where(high > low, high - low, 1)
    return unit, np.stack([low.ravel(), high.ravel()], axis=1)


def _spectra(sounds: np.ndarray, config: SpectrogramConfig) -> np.ndarray:
    """Magnitudes ``(n, height, width)`` as the image shows them."""
    if config.pre_emphasis:
        sounds = pre_emphasis(sounds, config.pre_emphasis)
    magnitude = stft_magnitude(sounds, config)
    if config.type == "stft":
        return magnitude[:, 1 : config.height + 1]
    return mel_filters(config).T @ magnitude


def _box(values: np.ndarray, taps: int, axis: int) -> np.ndarray:
    """Mean of ``taps`` neighbours, of which those beyond the ends count as 0."""
    margin = [(0, 0)] * values.ndim
    margin[axis] = (taps // 2, taps // 2)
    padded = np.pad(values, margin)
    return np.lib.stride_tricks.sliding_window_view(padded, taps, axis=axis).mean(-1)


def _window(kind: str, n: int) -> np.ndarray:
    return get_window("boxcar" if kind == "rectangular" else kind, n, fftbins=False)


def _sounds(audio: np.ndarray, at_least: int) -> np.ndarray:
    """Checked sounds ``(n, samples)`` float32."""
    sounds = np.atleast_2d(np.asarray(audio, np.float32))
    if sounds.ndim != 2:
        raise ValueError(f"audio must be (n, samples) or (samples,), found shape {sounds.shape}")
    if sounds.shape[1] < at_least:
        raise ValueError(
            f"audio has {sounds.shape[1]} samples, {at_least} are needed: make longer sounds, or "
            "take fewer frames (width) or a shorter hop"
        )
    if not np.isfinite(sounds).all():
        raise ValueError("audio holds NaN or infinite values")
    return sounds
