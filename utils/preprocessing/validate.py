"""Checks of a session file before anything is built on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from utils.preprocessing.config import PreprocessConfig
from utils.preprocessing.scaling import fit_scaler
from utils.sessions.hdf5 import SessionFile, verify
from utils.sessions.hdf5_write import PYRAMID_FACTOR, coarser
from utils.splits import SPLIT_NAMES, TEST, TRAIN, UNUSED, VALIDATION, find_segments

TOLERANCE = 1e-3  # of offset and scale, in units of the scale, when they are fitted again
BOOTSTRAP_BLOCK_S, BOOTSTRAP_BLOCKS = 60, 10  # what an interval of a score needs
_COLUMNS = 512  # neurons in memory at once
_ROWS = 4096

Check = tuple[bool, str]


def validate_session_file(path: str | Path) -> pd.DataFrame:
    """Table of checks: ``check``, ``passed``, ``detail``.

    It covers the stored hash, the clock, missing and infinite values, the order of the blocks and
    the gaps between them, whether the scaler and the covariates are those of the training block
    alone, ids of neurons, and the time pyramid.

    Raises
    ------
    utils.sessions.errors.SessionError
        The file cannot be read, or was not written by ``preprocess``.
    """
    file = SessionFile(path)
    config = PreprocessConfig.model_validate(file.provenance["config"])
    checks: dict[str, Callable[[], Check]] = {
        "contents have the stored hash": lambda: (verify(path), file.content_hash[:12]),
        "clock increases": lambda: _clock(file),
        "no infinite value": lambda: _finite(file),
        "valid frames have values": lambda: _mask(file, config),
        "every neuron has training values": lambda: _values_per_neuron(file),
        "blocks follow one another": lambda: _order(file),
        "gaps hold a window": lambda: _gaps(file, config),
        "scaler is that of the training block": lambda: _scaler(file, config),
        "covariates are finite, scaled on training": lambda: _covariates(file),
        "baseline knows no future": lambda: _causal(config),
        "neurons have distinct ids": lambda: _ids(file),
        "pyramid agrees with the activity": lambda: _pyramid(file),
        "test block allows an interval": lambda: _test_length(file),
    }
    rows = [(name, *check()) for name, check in checks.items()]
    return pd.DataFrame(rows, columns=["check", "passed", "detail"]).astype({"passed": bool})


def _clock(file: SessionFile) -> Check:
    backward = np.flatnonzero(~(np.diff(file.timestamps) > 0))
    if len(backward):
        return False, f"frame {backward[0] + 1} is not later than the one before"
    n_gaps = len(find_segments(file.timestamps)) - 1
    return True, f"{file.frame_rate:.3f} Hz, {n_gaps} gaps in time"


def _finite(file: SessionFile) -> Check:
    n_infinite = n_missing = 0
    for block in _row_blocks(file):
        n_infinite += int(np.isinf(block).sum())
        n_missing += int(np.isnan(block).sum())
    share = n_missing / max(file.activity.size, 1)
    return n_infinite == 0, f"{n_infinite} infinite, {share:.2%} missing"


def _mask(file: SessionFile, config: PreprocessConfig) -> Check:
    share = np.concatenate([np.isfinite(block).mean(axis=1) for block in _row_blocks(file)])
    agrees = (share >= config.min_valid_fraction) == file.frame_mask
    return bool(agrees.all()), f"{file.frame_mask.sum()} of {file.n_frames} frames are valid"


def _values_per_neuron(file: SessionFile) -> Check:
    train = file.split == TRAIN
    least = min(np.isfinite(part[train]).mean(axis=0).min() for part in _column_blocks(file))
    return least > 0, f"at least {least:.1%} of the training frames"


def _order(file: SessionFile) -> Check:
    """Each label is one stretch of time, training before validation before test."""
    labels = file.split[file.split != UNUSED]
    runs = labels[np.r_[True, np.diff(labels) != 0]] if len(labels) else labels
    counts = {name: int((labels == code).sum()) for code, name in SPLIT_NAMES.items()}
    detail = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    task = [code for code in runs if code in (TRAIN, VALIDATION, TEST)]
    return task == [TRAIN, VALIDATION, TEST], detail


def _gaps(file: SessionFile, config: PreprocessConfig) -> Check:
    used = np.flatnonzero(file.split != UNUSED)
    changes = np.flatnonzero(np.diff(file.split[used]))
    gaps = used[changes + 1] - used[changes] - 1
    needed = config.split.max_window_frames
    if config.split.gap_s is not None:
        needed = int(np.ceil(config.split.gap_s * file.frame_rate - 1e-6))
    return bool((gaps >= needed).all()), f"{gaps.tolist()} frames, at least {needed} needed"


def _scaler(file: SessionFile, config: PreprocessConfig) -> Check:
    """Fitted again on the training block of scaled values, offset is 0 and scale 1."""
    train = file.split == TRAIN
    worst = 0.0
    for part in _column_blocks(file):
        offset, scale = fit_scaler(part[train], config.scaling)
        worst = max(worst, np.abs(offset).max(), np.abs(scale - 1).max())
    return worst < TOLERANCE, f"largest deviation {worst:.0e}"


def _covariates(file: SessionFile) -> Check:
    values = file.covariates
    if values is None:
        return False, "the file has no covariates"
    train = (file.split == TRAIN) & file.frame_mask
    moving = [not name.startswith(("stimulus_", "trial_")) for name in file.covariate_names]
    means = np.abs(values[train].mean(axis=0, dtype=np.float64))[moving]
    spread = values[train].std(axis=0, dtype=np.float64)[moving]
    scaled = (means < TOLERANCE) & (spread < 1 + TOLERANCE)  # filled frames lower the spread
    passed = bool(np.isfinite(values).all() and scaled.all())
    return passed, f"{values.shape[1]} columns, {sum(moving)} of them continuous"


def _causal(config: PreprocessConfig) -> Check:
    if config.activity == "deconvolved":
        return False, "deconvolution looks into the future: scores are too good"
    return config.baseline.causal, config.baseline.method


def _ids(file: SessionFile) -> Check:
    ids = file.neurons["uuid"].astype(str)
    ids = ids.where(ids != "", file.neurons["fov"].astype(str) + file.neurons["roi"].astype(str))
    return bool(ids.is_unique), f"{ids.nunique()} ids for {file.n_neurons} neurons"


def _pyramid(file: SessionFile) -> Check:
    levels = file.pyramid
    for fine, coarse in pairwise(levels):
        rows = min(len(fine), _ROWS)
        expected = coarser(np.asarray(fine[:rows]))
        n_whole = rows // PYRAMID_FACTOR
        if not np.allclose(coarse[:n_whole], expected[:n_whole], atol=1e-5, equal_nan=True):
            return False, f"level of {len(coarse)} rows differs from the mean of the finer one"
    return True, f"{len(levels) - 1} levels: {[len(level) for level in levels[1:]]} rows"


def _test_length(file: SessionFile) -> Check:
    seconds = float((file.split == TEST).sum() / file.frame_rate)
    blocks = int(seconds // BOOTSTRAP_BLOCK_S)
    return blocks >= BOOTSTRAP_BLOCKS, (
        f"{blocks} blocks of {BOOTSTRAP_BLOCK_S} s, {BOOTSTRAP_BLOCKS} needed for an interval"
    )


def _row_blocks(file: SessionFile) -> Iterator[np.ndarray]:
    for start in range(0, file.n_frames, _ROWS):
        yield np.asarray(file.activity[start : start + _ROWS])


def _column_blocks(file: SessionFile) -> Iterator[np.ndarray]:
    for start in range(0, file.n_neurons, _COLUMNS):
        yield np.asarray(file.activity[:, start : start + _COLUMNS])
