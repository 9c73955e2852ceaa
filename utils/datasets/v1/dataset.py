"""A recording made ready for a twin: split, transformed, and told which bins count."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from utils.config import ConfigError, validate_config
from utils.datasets.v1.behavior import (
    fit_behavior,
    known_bins,
    known_runs,
    source_values,
    transform_behavior,
)
from utils.datasets.v1.config import V1DatasetConfig
from utils.datasets.v1.recording import V1Recording, as_recording, to_rate
from utils.datasets.v1.sequences import SequenceIndex, V1Sequences, index_sequences, run_lengths
from utils.datasets.v1.splits import split_trials
from utils.datasets.v1.transforms import GREY, apply_transforms, fit_transforms
from utils.paths import data_dir
from utils.splits import TRAIN, UNUSED

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class V1Dataset:
    """A data set of a twin.

    Attributes
    ----------
    config, recording : what it was made from; the recording has the rate of the config.
    labels : (trial,) split of each trial, see :func:`split_trials`.
    statistics : what transforms learnt from training trials: ``stimulus``, a dictionary for each
        transform, and ``behavior``, such a list for each source.
    behavior : (T, D) float32, 0 where unknown; None where none is used.
    responses : (T, N) of the cells of the config, in their order.
    valid : (T, N) where a response may be used.
    counts : (T, N) where it counts in a score: also all of its lags are in its trial and valid.
    missing : (N,) share of bins in which a cell is not valid while others are.
    """

    config: V1DatasetConfig
    recording: V1Recording
    labels: NDArray[np.int8]
    statistics: dict[str, list]
    behavior: NDArray[np.float32] | None
    responses: NDArray
    valid: NDArray[np.bool_]
    counts: NDArray[np.bool_]
    missing: NDArray[np.float64]

    def trials(self, label: int | None = None) -> NDArray[np.int64]:
        """(trial, 2) first bin and one past the last bin of the trials of a split, or of all."""
        trials = self.recording.trials
        return trials if label is None else trials[self.labels == label]

    def counted(self, label: int) -> NDArray[np.bool_]:
        """(T, N) what counts of a split."""
        return self.counts & _in_trials(self.trials(label), len(self.counts))[:, None]

    def sequences(self, label: int | None, n_bins: int) -> SequenceIndex:
        """All sequences of a split (of all trials where None): every bin that has its lags."""
        return index_sequences(self.trials(label), self.config.n_lags, n_bins)

    def counted_sequences(self, label: int, n_bins: int) -> SequenceIndex:
        """The sequences of a split in which at least one response counts."""
        index = self.sequences(label, n_bins)
        before = np.r_[0, self.counts.any(axis=1).cumsum()]
        return index.take(before[index.firsts + index.counts] > before[index.firsts])

    def frames(self, start: int, stop: int) -> NDArray:
        """(stop - start, [channel,] H, W) frames of one trial; transformed, or as recorded."""
        transforms = self.config.stimulus
        if not transforms:
            return self.recording.stim[start:stop]
        trials = self.recording.trials[:, 0]
        trial_start = trials[np.searchsorted(trials, start, side="right") - 1]
        begin = max(trial_start, start - sum(transform.reach for transform in transforms))
        run = self.recording.stim[begin:stop]
        return apply_transforms(transforms, self.statistics["stimulus"], run)[start - begin :]

    def gather(self, index: SequenceIndex) -> V1Sequences:
        """Sequences as tensors; padding is grey, silent and does not count."""
        starts, stops = index.firsts - self.config.n_lags + 1, index.firsts + index.counts
        length = self.config.n_lags - 1 + index.n_bins
        stimulus = behavior = None
        if self.config.stimulus is not None:
            runs = [self.frames(*borders) for borders in zip(starts, stops)]
            stimulus = _padded(runs, length, GREY if runs[0].dtype == np.uint8 else 0)
        if self.behavior is not None:
            behavior = _padded([self.behavior[a:b] for a, b in zip(starts, stops)], length)
        responses = [
            np.where(self.valid[a:b], self.responses[a:b], 0).astype(np.float32)
            for a, b in zip(starts, stops)
        ]
        mask = [self.counts[a:b].astype(np.float32) for a, b in zip(index.firsts, stops)]
        return V1Sequences(
            stimulus, behavior, _padded(responses, length), _padded(mask, index.n_bins)
        )


def prepare_dataset(
    config: V1DatasetConfig,
    source: str | Path | Mapping[str, Any] | V1Recording | None = None,
    statistics: Mapping[str, list] | None = None,
) -> V1Dataset:
    """Make a recording ready.

    Parameters
    ----------
    source : the recording; that of ``config.path`` where None.
    statistics : of transforms, from the data set that a model was trained on; fitted to the
        training trials of this one where None.

    Raises
    ------
    FileNotFoundError, ValueError
        No such recording, or none that can be used.
    ConfigError
        The recording has not what the configuration asks for; the message names the key.
    """
    source = data_dir() / config.path if source is None else source
    recording = to_rate(as_recording(source), config.rate_hz)
    _check_fit(config, recording)
    labels = split_trials(recording.trial_types, config)
    trials = recording.trials
    values = [source_values(source, recording, config.name) for source in config.behavior]
    known = known_bins(values, recording.n_bins)
    if statistics is None:
        train = trials[labels == TRAIN]
        in_train = _in_trials(train, recording.n_bins)
        frames = [recording.stim[a:b] for a, b in train] if config.stimulus else []
        statistics = {
            "stimulus": fit_transforms(config.stimulus or (), frames),
            "behavior": fit_behavior(config.behavior, values, known_runs(known & in_train, trials)),
        }
    columns = [recording.metadata["cell_ids"].index(cell) for cell in config.cell_ids]
    valid = np.broadcast_to(recording.valid, recording.robs.shape)[:, columns]
    usable = known & valid.any(axis=1)
    missing = _missing(valid, usable & _in_trials(trials[labels != UNUSED], len(valid)), config)
    lags_usable = run_lengths(usable, trials) >= config.n_lags
    return V1Dataset(
        config=config,
        recording=recording,
        labels=labels,
        statistics=dict(statistics),
        behavior=transform_behavior(
            config.behavior, values, known_runs(known, trials), statistics["behavior"]
        ),
        responses=recording.robs[:, columns],
        valid=valid,
        counts=valid & lags_usable[:, None] & (missing <= config.max_missing),
        missing=missing,
    )


def describe_recordings(
    sources: Sequence[str | Path | V1Recording], **settings: Any
) -> list[V1DatasetConfig]:
    """Configurations with all cells of recordings, and whatever stimulus and behaviour they have.

    Parameters
    ----------
    sources : files, or recordings in memory, which have no path.
    settings : of :class:`V1DatasetConfig`, for all of them.

    Raises
    ------
    ConfigError
        A setting that a configuration does not have, or a wrong value.
    """
    configs = []
    for source in sources:
        recording = as_recording(source)
        found = {
            "name": recording.metadata["name"],
            "path": _path_in_config(recording.path),
            "cell_ids": recording.metadata["cell_ids"],
            "rate_hz": recording.metadata["rate_hz"],
        }
        if recording.stim is None:
            found["stimulus"] = None
        else:
            found["grid"] = recording.stim.shape[1:]
        if recording.eyepos is None:
            found["behavior"] = ()
        where = f"data set '{found['name']}'"
        configs.append(validate_config(V1DatasetConfig, {**found, **settings}, where))
    return configs


def _path_in_config(path: Path | None) -> str:
    """Below ``DATA`` where it lies there, so that it holds wherever DATA is moved to."""
    if path is None:
        return ""
    path = path.resolve()
    return str(path.relative_to(data_dir()) if path.is_relative_to(data_dir()) else path)


def _check_fit(config: V1DatasetConfig, recording: V1Recording) -> None:
    """Refuse a recording that lacks what the configuration is about."""
    where = f"data set '{config.name}' ({recording.path or 'in memory'})"
    ids = recording.metadata["cell_ids"]
    absent = [cell for cell in config.cell_ids if cell not in ids]
    if absent:
        raise ConfigError(
            f"{where}: cell_ids {', '.join(map(str, absent[:5]))} are not among the "
            f"{len(ids)} cells of the recording"
        )
    if config.stimulus is None:
        return
    if recording.stim is None:
        raise ConfigError(f"{where}: the recording has no 'stim'; set stimulus: null")
    if recording.stim.shape[1:] != config.grid:
        raise ConfigError(
            f"{where}: frames are {recording.stim.shape[1:]}, the configuration says grid "
            f"{config.grid}"
        )


def _missing(
    valid: NDArray[np.bool_], usable: NDArray[np.bool_], config: V1DatasetConfig
) -> NDArray[np.float64]:
    """(N,) share of usable bins in which a cell is missing, with a word on those left out."""
    missing = 1 - valid[usable].sum(axis=0) / max(usable.sum(), 1)
    left_out = np.flatnonzero(missing > config.max_missing)
    if len(left_out):
        logger.warning(
            "data set '%s': %d of %d cells miss more than %.0f %% of the bins and do not count: %s",
            config.name, len(left_out), len(missing), 100 * config.max_missing,
            ", ".join(f"{config.cell_ids[i]} ({100 * missing[i]:.0f} %)" for i in left_out),
        )  # fmt: skip
    return missing


def _in_trials(trials: NDArray[np.integer], n_bins: int) -> NDArray[np.bool_]:
    """(T,) whether a bin lies in one of the trials."""
    edges = np.zeros(n_bins + 1, np.int64)
    np.add.at(edges, trials[:, 0], 1)
    np.add.at(edges, trials[:, 1], -1)
    return edges[:-1].cumsum() > 0


def _padded(runs: Sequence[NDArray], length: int, fill: int = 0) -> torch.Tensor:
    """(run, length, ...) runs one above the other, filled up at their ends."""
    together = np.full((len(runs), length, *runs[0].shape[1:]), fill, runs[0].dtype)
    for row, run in zip(together, runs):
        row[: len(run)] = run
    return torch.from_numpy(together)
