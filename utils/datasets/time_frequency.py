"""Time-frequency images of windows of population activity, and what happened in them.

At five frames per second the fastest rhythm that can be seen is 2.5 Hz: rows of an image are a
slow level, with its sign, and the amplitudes of rhythms from one per window to near that limit.
Each image is made of the frames of its window alone. Images are standardised with one mean and
deviation per channel and row, those of the training windows: scaling each image for itself would
erase how strong the activity was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, PositiveFloat

from utils.config import Config
from utils.datasets.vimh.parameters import Parameter, class_index, default_step
from utils.splits import SPLIT_NAMES, TEST, TRAIN, VALIDATION

UNKNOWN = -1  # class of a target that a window does not have
FASTEST = 0.45  # cycles per frame; at 0.5 a rhythm cannot be told from its mirror image
MIN_SAMPLES = {TRAIN: 20, VALIDATION: 5, TEST: 10}  # windows that a target needs in each block


class TimeFrequencyConfig(Config):
    """How windows are placed, and how they become images.

    Attributes
    ----------
    kind : ``wavelet`` looks at each rhythm for ``cycles`` of it, ``stft`` at all equally long.
    n_components : leading components of the population, channels beside the means of the areas.
    min_cells : areas with fewer cells have no channel of their own.
    """

    window: PositiveFloat = Field(5.0, description="s")
    before: float = Field(1.0, ge=0, description="s of the window before the stimulus")
    kind: Literal["wavelet", "stft"] = "wavelet"
    n_frequencies: int = Field(12, ge=2)
    n_times: int = Field(12, ge=1)
    cycles: PositiveFloat = 3.0
    n_components: int = Field(4, ge=0)
    min_cells: int = Field(5, ge=1)


@dataclass(frozen=True)
class Target(Parameter):
    """What is decoded; ``classes`` are names of the values 0, 1, ..., empty for quantities."""

    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TimeFrequencyData:
    """Images of windows, targets, and the block of time that each window lies in."""

    images: NDArray[np.float32]  # (window, channel, frequency, time) in training deviations
    means: NDArray[np.float32]  # (window, channel) mean activity, standardised likewise
    values: NDArray[np.float64]  # (window, target); NaN = unknown
    labels: NDArray[np.int64]  # (window, target); UNKNOWN = unknown
    targets: tuple[Target, ...]
    block: NDArray[np.int8]  # (window,) labels of utils.splits
    seconds: NDArray[np.float64]  # (window,) start of each window
    channels: tuple[str, ...]
    frequencies: NDArray[np.float64]  # (frequency,) Hz; 0 is the slow level
    times: NDArray[np.float64]  # (time,) s from the start of the window
    left_out: pd.DataFrame  # item, reason, count

    def samples(self, block: int) -> NDArray[np.int64]:
        """Windows of a block."""
        return np.flatnonzero(self.block == block)

    def known(self, block: int, target: int) -> NDArray[np.int64]:
        """Windows of a block that have a target."""
        return np.flatnonzero((self.block == block) & (self.labels[:, target] != UNKNOWN))

    def __repr__(self) -> str:
        n, channels, height, width = self.images.shape
        counts = ", ".join(
            f"{SPLIT_NAMES[block]} {len(self.samples(block))}"
            for block in (TRAIN, VALIDATION, TEST)
        )
        names = ", ".join(target.name for target in self.targets)
        return (
            f"TimeFrequencyData({n} windows: {counts}; images of {channels} channels x {height} "
            f"frequencies x {width} times; targets: {names or 'none'})"
        )


def time_frequency_data(
    windows: ArrayLike,
    rate: float,
    values: Mapping[str, ArrayLike],
    block: ArrayLike,
    config: TimeFrequencyConfig,
    *,
    classes: Mapping[str, Sequence[str]] | None = None,
    channels: Sequence[str] | None = None,
    seconds: ArrayLike | None = None,
    left_out: Sequence[tuple[str, str, int]] = (),
) -> TimeFrequencyData:
    """Images and targets of windows that are cut already.

    Parameters
    ----------
    windows : (window, time, channel), all finite.
    rate : frames per second.
    values : target -> (window,) its value, NaN where it is not known; a target with too few
        windows, or without variation in training, is left out with the reason.
    block : (window,) labels of :mod:`utils.splits`; windows that are unused are not allowed.
    classes : names of the values 0, 1, ... of targets that are no quantities.
    seconds : (window,) start of each window; default: one after another.
    left_out : item, reason and count of what was dropped before.

    Raises
    ------
    ValueError
        Shapes that disagree, values that are not finite, or a block without a window.
    """
    windows, block = np.asarray(windows, np.float32), np.asarray(block, np.int8)
    _check(windows, block, rate)
    n, n_frames, n_channels = windows.shape
    train = block == TRAIN
    means, deviations = windows[train].mean(axis=(0, 1)), windows[train].std(axis=(0, 1))
    windows = (windows - means) / np.where(deviations > 0, deviations, 1)
    frequencies, times, atoms = time_frequency_atoms(n_frames, rate, config)
    targets, notes = _targets(values, block, classes or {})
    table = np.array([np.asarray(values[t.name], float) for t in targets]).reshape(-1, n).T
    return TimeFrequencyData(
        images=_standardised(time_frequency_images(windows, atoms), train, axes=(0, 3)),
        means=_standardised(windows.mean(axis=1), train, axes=(0,)),
        values=table,
        labels=np.stack([_labels(t, v) for t, v in zip(targets, table.T)], axis=1)
        if targets
        else np.empty((n, 0), np.int64),
        targets=targets,
        block=block,
        seconds=n_frames / rate * np.arange(n) if seconds is None else np.asarray(seconds, float),
        channels=tuple(channels or (f"channel {i}" for i in range(n_channels))),
        frequencies=frequencies,
        times=times,
        left_out=pd.DataFrame([*left_out, *notes], columns=["item", "reason", "count"]),
    )


def time_frequency_atoms(
    n_frames: int, rate: float, config: TimeFrequencyConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.complex64]]:
    """Frequencies (F,) in Hz, times (T,) in s, and what windows are multiplied with (F, T, time).

    Atoms are Gaussian bells times a rhythm (Gabor 1946; Morlet's wavelet where the bell shrinks
    as the rhythm gets faster), cut at the borders of the window. A rhythm of amplitude 1 has
    a product of about 1; a constant has 0, except in the first row, which is the local mean.
    """
    seconds = np.arange(n_frames) / rate
    length = n_frames / rate
    spaced = np.geomspace if config.kind == "wavelet" else np.linspace
    rhythms = spaced(1 / length, FASTEST * rate, config.n_frequencies - 1)
    times = (np.arange(config.n_times) + 0.5) * length / config.n_times
    frequencies = np.r_[0.0, rhythms]
    even = length / 8
    widths = config.cycles / (2 * np.pi * rhythms)  # s
    widths = np.r_[even, widths if config.kind == "wavelet" else np.full(len(rhythms), even)]
    bells = np.exp(-0.5 * ((seconds - times[:, None]) / widths[:, None, None]) ** 2)  # (F, T, time)
    bells /= bells.sum(axis=2, keepdims=True)
    waves = np.exp(-2j * np.pi * frequencies[1:, None, None] * seconds)
    waves = waves - (bells[1:] * waves).sum(axis=2, keepdims=True)  # a constant gives nothing
    atoms = np.concatenate([bells[:1], 2 * bells[1:] * waves])
    return frequencies, times, atoms.astype(np.complex64)


def time_frequency_images(
    windows: NDArray[np.float32], atoms: NDArray[np.complex64]
) -> NDArray[np.float32]:
    """Images (window, channel, F, T) of windows (window, time, channel).

    Amplitudes, in deviations of the channel, are compressed: ``log(1 + amplitude)``.
    """
    products = np.tensordot(windows, atoms, axes=(1, 2))  # (window, channel, F, T)
    images = np.log1p(np.abs(products))
    images[:, :, 0] = products[:, :, 0].real
    return images.astype(np.float32)


def _standardised(
    values: NDArray[np.float32], train: NDArray[np.bool_], axes: tuple[int, ...]
) -> NDArray[np.float32]:
    """Less the mean of training windows over ``axes``, in their deviations; constants become 0."""
    mean = values[train].mean(axis=axes, keepdims=True)
    deviation = values[train].std(axis=axes, keepdims=True)
    flat = deviation <= 1e-6 * np.maximum(np.abs(mean), 1)
    return ((values - mean) / np.where(flat, 1, deviation)).astype(np.float32)


def _targets(
    values: Mapping[str, ArrayLike],
    block: NDArray[np.int8],
    classes: Mapping[str, Sequence[str]],
) -> tuple[tuple[Target, ...], list[tuple[str, str, int]]]:
    """Targets that can be learned and scored, and why others cannot."""
    targets, notes = [], []
    for name, of_windows in values.items():
        numbers = np.asarray(of_windows, float)
        if numbers.shape != block.shape:
            raise ValueError(f"target '{name}' has shape {numbers.shape}, expected {block.shape}")
        known = np.isfinite(numbers)
        short = [
            f"{SPLIT_NAMES[b]} has {(known & (block == b)).sum()} windows of {least} needed"
            for b, least in MIN_SAMPLES.items()
            if (known & (block == b)).sum() < least
        ]
        train = numbers[known & (block == TRAIN)]
        if short:
            notes.append((name, "; ".join(short), int(known.sum())))
        elif np.ptp(train) == 0:
            notes.append((name, "does not vary in training", int(known.sum())))
        elif name in classes:
            n_classes = len(classes[name])
            targets.append(Target(name, 0, 1, n_classes - 1, classes=tuple(classes[name])))
        else:
            low, high = np.quantile(train, [0.01, 0.99])
            targets.append(Target(name, float(low), default_step(low, high), float(high)))
    return tuple(targets), notes


def _labels(target: Target, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """(window,) classes; quantities beyond the range of training belong to the outer classes."""
    known = np.isfinite(values)
    labels = np.full(len(values), UNKNOWN)
    labels[known] = class_index(values[known], target.min, target.max, target.step)
    return labels


def _check(windows: NDArray[np.float32], block: NDArray[np.int8], rate: float) -> None:
    if windows.ndim != 3 or 0 in windows.shape[1:]:
        raise ValueError(f"windows must be (window, time, channel), found shape {windows.shape}")
    if block.shape != windows.shape[:1]:
        raise ValueError(f"block has shape {block.shape}, expected ({len(windows)},)")
    if not rate > 0:
        raise ValueError(f"rate must be positive frames per second, found {rate}")
    if not np.isfinite(windows).all():
        raise ValueError("windows must be finite: leave out those with missing frames")
    counts = {SPLIT_NAMES[b]: int((block == b).sum()) for b in MIN_SAMPLES}
    if not all(counts.values()) or sum(counts.values()) < len(block):
        raise ValueError(
            f"every window must lie in train, validation or test, and each must have one; found "
            f"{counts} of {len(block)} windows: use shorter windows or a longer recording"
        )
