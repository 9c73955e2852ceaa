"""A learned front end: Gabor filters and compression, trained with the network.

After LEAF (Zeghidour et al. 2021, arXiv 2101.08596) and EfficientLEAF (Schlueter and Gutenbrunner
2022, arXiv 2207.05508). Filters are applied once per hop, so that their own window is what pools
over time. They begin as the spectrogram of the data set: sinusoids at its frequencies in its
window. What is learned of each filter is its frequency, how narrow it is in time, and its
compression.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from utils.models.spectral.sounds import frames_of, to_decibels, unit_range, window_of
from utils.signals.spectra import SpectrogramConfig


class Leaf(nn.Module):
    """Sounds (batch, sample) to images (batch, 1, frequency, time).

    With ``log`` compression, images begin as those of the STFT at the same frequencies (bins, or
    centres of mel bands), from 0 to 1. With ``pcen`` (per-channel energy normalisation, Wang et
    al. 2017, arXiv 1607.05666) energies are divided by their own recent past.
    """

    def __init__(self, spectrogram: SpectrogramConfig, compression: Literal["log", "pcen"]) -> None:
        super().__init__()
        self.filters = GaborFilters(spectrogram)
        kinds = {"log": LogCompression, "pcen": PCEN}
        self.compression = kinds[compression](spectrogram.height)

    def forward(self, sounds: Tensor) -> Tensor:
        """(batch, sample) -> (batch, 1, height, width)."""
        return self.compression(self.filters(sounds))[:, None]


class GaborFilters(nn.Module):
    """Energies (batch, filter, frame) of sounds (batch, sample) behind learned filters.

    A filter is exp(-i 2 pi frequency t) within the window and a Gaussian exp(-narrowing t^2 / 2),
    with t the time from the middle of the frame in halves of the window. Without narrowing it is
    the window alone, as in an STFT; a negative one lifts the ends.
    """

    def __init__(self, spectrogram: SpectrogramConfig) -> None:
        super().__init__()
        self.spectrogram = spectrogram
        self.frequency = nn.Parameter(_frequencies(spectrogram))  # (filter,) cycles per frame
        self.narrowing = nn.Parameter(torch.zeros(spectrogram.height))
        self.register_buffer("window", window_of(spectrogram), persistent=False)
        centred = torch.arange(spectrogram.n_fft) - (spectrogram.n_fft - 1) / 2  # samples
        self.register_buffer("time", centred, persistent=False)

    def filters(self) -> tuple[Tensor, Tensor]:
        """Real and imaginary parts, each (filter, n_fft)."""
        halves = 2 * self.time / self.spectrogram.n_window
        taper = torch.exp(-0.5 * self.narrowing[:, None] * halves.square())
        envelope = taper * self.window / self.spectrogram.n_fft**0.5
        phase = 2 * torch.pi * self.frequency[:, None] * self.time / self.spectrogram.n_fft
        return envelope * phase.cos(), envelope * phase.sin()

    def hertz(self) -> Tensor:
        """(filter,) frequencies in Hz."""
        return self.frequency * self.spectrogram.sample_rate / self.spectrogram.n_fft

    def forward(self, sounds: Tensor) -> Tensor:
        """(batch, sample) -> (batch, filter, frame)."""
        frames = frames_of(sounds, self.spectrogram)
        real, imaginary = (frames @ part.T for part in self.filters())
        return (real.square() + imaginary.square()).mT


class LogCompression(nn.Module):
    """Decibels with a gain and an offset per filter; each image is then scaled to 0..1."""

    def __init__(self, n_filters: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(n_filters, 1))
        self.offset = nn.Parameter(torch.zeros(n_filters, 1))  # tens of decibels

    def forward(self, energy: Tensor) -> Tensor:
        """(batch, filter, frame) -> the same."""
        return unit_range(self.gain * to_decibels(energy) + 10 * self.offset)


class PCEN(nn.Module):
    """(energy / (floor + past)^alpha + delta)^root - delta^root, all but the floor learned.

    ``past`` is an exponential average whose coefficient is learned, too; alpha, delta and the
    coefficient begin where LEAF has them.
    """

    FLOOR = 1e-6

    def __init__(self, n_filters: int) -> None:
        super().__init__()
        shape = n_filters, 1
        self.alpha = nn.Parameter(torch.full(shape, 0.96))
        self.log_delta = nn.Parameter(torch.full(shape, 2.0).log())
        self.root = nn.Parameter(torch.full(shape, 0.5))
        self.smoothing = nn.Parameter(torch.full(shape, 0.04).logit())

    def forward(self, energy: Tensor) -> Tensor:
        """(batch, filter, frame) -> the same."""
        past = self._average(energy)
        alpha, root = self.alpha.clamp(0, 1), self.root.clamp(0.05, 1)
        delta = self.log_delta.exp()
        share = energy * torch.exp(-alpha * torch.log(self.FLOOR + past))
        return (share + delta).pow(root) - delta.pow(root)

    def _average(self, energy: Tensor) -> Tensor:
        """Exponential average over frames, which begins at the first."""
        n_frames = energy.shape[2]
        new = self.smoothing.sigmoid()[:, :, None]  # (filter, 1, 1)
        age = torch.arange(n_frames, device=energy.device)
        age = (age[:, None] - age).float()  # (frame, earlier frame)
        weights = torch.where(age >= 0, new * (1 - new) ** age.clamp(min=0), 0)
        weights = torch.cat([(1 - new) ** age[:, :1], weights[:, :, 1:]], dim=2)
        return torch.einsum("bfe,fte->bft", energy, weights)


def _frequencies(spectrogram: SpectrogramConfig) -> Tensor:
    """(filter,) bins of the STFT, or centres of the mel bands, in cycles per frame."""
    if spectrogram.type == "stft":
        return torch.arange(1, spectrogram.height + 1).float()
    top = spectrogram.freq_max_ratio * spectrogram.sample_rate / 2
    ends = torch.tensor([spectrogram.freq_min, top], dtype=torch.float64)
    low, high = torch.log1p(ends / 700).tolist()
    centres = torch.linspace(low, high, spectrogram.height + 2, dtype=torch.float64)[1:-1]
    hertz = 700 * torch.expm1(centres)
    return (hertz * spectrogram.n_fft / spectrogram.sample_rate).float()
