"""Windows about the stimuli of a session, or of groups of its cells, as time-frequency data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from utils.datasets.time_frequency import (
    TimeFrequencyConfig,
    TimeFrequencyData,
    time_frequency_data,
)
from utils.metrics.behaviour import CHOSE_RIGHT, NO_CHOICE, signed_contrast, standard_trials
from utils.preprocessing.covariates import movement_columns
from utils.splits import TEST, TRAIN, VALIDATION
from utils.windows import WindowData

if TYPE_CHECKING:
    from utils.load_meso_session import MesoscopeSession

SIDES = ("left", "right")
SLOWEST = 0.05  # rad/s that is added to the wheel's speed before the logarithm: a resting wheel
FRAMES_FOR_COMPONENTS = 3000  # spread over the training block, so that memory is bounded
FRAMES_AT_ONCE = 2000


def trial_images(
    session: MesoscopeSession, data: WindowData, config: TimeFrequencyConfig | None = None
) -> TimeFrequencyData:
    """Images of the windows about the stimuli of a session, one per trial.

    Channels are the means of areas and the leading components of the population, found in the
    training block. Targets are ``side`` and ``contrast`` of the stimulus, ``choice``, ``speed``
    of the wheel (log10 of rad/s, mean over the window) and ``pupil`` (px). A window lies inside
    one segment of one block of time; trials of which that is not true are left out and counted,
    as are targets that the recording lacks.

    Parameters
    ----------
    session : whose trials and movements are read.
    data : windows of its preprocessed file, which hold the blocks.

    Raises
    ------
    ValueError
        The session has no stimuli, or a block has no trial.
    """
    config = config or TimeFrequencyConfig()
    trials = standard_trials(session.trials)
    if not trials["stimOn_times"].notna().any():
        raise ValueError(
            f"session {session.eid} ({session.source}) has no times of stimuli: without behaviour "
            "there is nothing to decode; see session.availability"
        )
    n_frames = round(config.window * data.frame_rate)
    onsets = trials["stimOn_times"].to_numpy(float) - config.before
    chosen, starts, block = windows_in_blocks(data, onsets, n_frames)
    frames = starts[:, None] + np.arange(n_frames)  # (window, time)
    signals, channels = population_signals(data, config)
    values, classes = _of_trials(trials.iloc[chosen])
    outside = len(trials) - len(chosen)
    return time_frequency_data(
        signals[frames],
        data.frame_rate,
        values | _of_movements(session, data, frames),
        block,
        config,
        classes=classes,
        channels=channels,
        seconds=data.timestamps[starts],
        left_out=[("trials", "not inside one segment of a block", outside)] if outside else [],
    )


def windows_in_blocks(
    data: WindowData, onsets: NDArray[np.float64], n_frames: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
    """Which onsets (s) begin a window inside one segment of a block; its first frame; the block."""
    starts = np.searchsorted(data.timestamps, onsets)  # NaN comes after all
    chosen, block = [], []
    for label, split in ((TRAIN, data.train), (VALIDATION, data.validation), (TEST, data.test)):
        for first, stop in split.segments:
            inside = np.flatnonzero((starts >= first) & (starts + n_frames <= stop))
            chosen.append(inside)
            block.append(np.full(len(inside), label, np.int8))
    order = np.argsort(np.concatenate(chosen), kind="stable")
    chosen = np.concatenate(chosen)[order]
    return chosen, starts[chosen], np.concatenate(block)[order]


def population_signals(
    data: WindowData, config: TimeFrequencyConfig
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Means of areas and leading components (time, channel) of standardised activity, and names.

    Means, deviations and components are those of the training block; missing values count as the
    mean.
    """
    activity = data.activity.numpy()
    mean, deviation, train = _training_statistics(data)
    weights = {}  # name -> (neuron,)
    areas = data.neurons["region"] if "region" in data.neurons else pd.Series("all cells", [0])
    for area, members in areas.groupby(areas).indices.items():
        members = members if "region" in data.neurons else slice(None)
        n_cells = len(mean[members])
        if n_cells >= config.min_cells:
            weights[str(area)] = np.zeros(data.n_neurons, np.float32)
            weights[str(area)][members] = 1 / n_cells
    if config.n_components:
        shown = train[:: -(-len(train) // FRAMES_FOR_COMPONENTS)]
        sample = np.nan_to_num((activity[shown] - mean) / deviation)
        n = min(config.n_components, *sample.shape)
        _, _, components = randomized_svd(sample, n, random_state=0)
        weights |= {f"component {i + 1}": row for i, row in enumerate(components)}
    if not weights:
        raise ValueError(
            f"no area has {config.min_cells} cells and n_components is 0: there is no channel"
        )
    matrix = np.stack(list(weights.values()), axis=1).astype(np.float32)  # (neuron, channel)
    parts = [
        np.nan_to_num((activity[rows] - mean) / deviation) @ matrix for rows in _pieces(activity)
    ]
    return np.concatenate(parts), tuple(weights)


def region_images(
    data: WindowData,
    config: TimeFrequencyConfig | None = None,
    *,
    cells_per_group: int = 10,
    every: int = 4,
    seed: int = 0,
) -> TimeFrequencyData:
    """Images of windows of small groups of cells, whose ``region`` is the target.

    Channels are the mean of the group's dF/F and its spread over cells. Cells are shared out to
    the blocks as time is: a group is seen in one block only, so the test is on cells and times
    that training never saw. Of the windows that follow one another, one in ``every`` is taken.

    Raises
    ------
    ValueError
        Fewer than two areas have cells for a group in each block.
    """
    config = config or TimeFrequencyConfig()
    groups = _groups_of_cells(data, cells_per_group, np.random.default_rng(seed))
    areas = tuple(sorted({area for area, _, _ in groups}))
    if len(areas) < 2:
        raise ValueError(
            f"regions cannot be decoded: {len(areas)} areas have {3 * cells_per_group} cells, "
            f"which is a group of {cells_per_group} in each block, and 2 are needed"
        )
    n_frames = round(config.window * data.frame_rate)
    windows, region, block, seconds = [], [], [], []
    splits = {TRAIN: data.train, VALIDATION: data.validation, TEST: data.test}
    starts = {label: _tiles(split.segments, n_frames, every) for label, split in splits.items()}
    for area, label, cells in groups:
        frames = starts[label][:, None] + np.arange(n_frames)
        of_cells = np.nan_to_num(data.activity[:, cells].numpy())
        signals = np.stack([of_cells.mean(axis=1), of_cells.std(axis=1)], axis=1)
        windows.append(signals[frames])
        region.append(np.full(len(frames), areas.index(area)))
        block.append(np.full(len(frames), label))
        seconds.append(data.timestamps[starts[label]])
    return time_frequency_data(
        np.concatenate(windows),
        data.frame_rate,
        {"region": np.concatenate(region)},
        np.concatenate(block),
        config,
        classes={"region": areas},
        channels=("mean of cells", "spread over cells"),
        seconds=np.concatenate(seconds),
    )


def _of_trials(
    trials: pd.DataFrame,
) -> tuple[dict[str, NDArray[np.float64]], dict[str, tuple[str, ...]]]:
    """Values of trials, and names of their classes."""
    signed = signed_contrast(trials)
    unseen = trials[["contrastLeft", "contrastRight"]].isna().all(axis=1).to_numpy()
    levels = np.unique(np.abs(signed[~unseen]))
    choice = trials["choice"].to_numpy(float)
    values = {
        "side": np.where(signed == 0, np.nan, signed > 0),
        "contrast": np.where(unseen, np.nan, np.searchsorted(levels, np.abs(signed))),
        "choice": np.where(choice == NO_CHOICE, np.nan, choice == CHOSE_RIGHT),
    }
    contrasts = tuple(f"{level:g} %" for level in levels)
    return values, {"side": SIDES, "contrast": contrasts, "choice": SIDES}


def _of_movements(
    session: MesoscopeSession, data: WindowData, frames: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Mean speed of the wheel and pupil of each window; unknown if a frame of it is."""
    columns = movement_columns(session, data.timestamps, 1 / data.frame_rate)
    nothing = np.full(len(data.timestamps), np.nan)
    speed = columns.get("wheel_speed", nothing)[frames].mean(axis=1)
    pupil = columns.get("pupil_diameter", nothing)[frames].mean(axis=1)
    return {"speed": np.log10(speed + SLOWEST), "pupil": pupil}


def _training_statistics(
    data: WindowData,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Mean and deviation (neuron,) over training frames, and these frames."""
    train = np.concatenate([np.arange(*segment) for segment in data.train.segments])
    rows = data.activity.numpy()[train]
    known = np.maximum(np.isfinite(rows).sum(axis=0), 1)
    mean = np.nansum(rows, axis=0) / known
    deviation = np.sqrt(np.nansum((rows - mean) ** 2, axis=0) / known)
    return mean, np.where(deviation > 0, deviation, 1).astype(np.float32), train


def _groups_of_cells(
    data: WindowData, size: int, rng: np.random.Generator
) -> list[tuple[str, int, NDArray[np.int64]]]:
    """Area, block and cells of each group; areas that cannot have one in every block are out."""
    groups = []
    if "region" not in data.neurons:
        return groups
    for area, members in data.neurons.groupby("region").indices.items():
        whole = rng.permutation(members)[: len(members) // size * size].reshape(-1, size)
        if len(whole) < 3:
            continue
        apart = max(1, len(whole) // 5)  # groups that validate, and as many that test
        blocks = np.r_[[VALIDATION] * apart, [TEST] * apart, [TRAIN] * (len(whole) - 2 * apart)]
        groups += [(str(area), int(block), cells) for block, cells in zip(blocks, whole)]
    return groups


def _tiles(segments: NDArray[np.int64], n_frames: int, every: int) -> NDArray[np.int64]:
    """First frames of windows that follow one another in each segment, one in ``every``."""
    starts = [np.arange(a, b - n_frames + 1, every * n_frames) for a, b in segments]
    return np.concatenate([np.empty(0, np.int64), *starts])


def _pieces(activity: NDArray[np.float32]) -> Iterator[slice]:
    """Frames that are worked on at once."""
    for first in range(0, len(activity), FRAMES_AT_ONCE):
        yield slice(first, first + FRAMES_AT_ONCE)
