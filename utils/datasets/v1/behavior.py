"""Eye position and other behaviour of a recording as the columns that a twin sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from utils.config import ConfigError
from utils.datasets.v1.config import V1Source
from utils.datasets.v1.recording import V1Recording
from utils.datasets.v1.sequences import run_lengths
from utils.datasets.v1.transforms import Run, Statistics, apply_transforms, fit_transforms


def source_values(source: V1Source, recording: V1Recording, name: str) -> Run:
    """(T, column) what a source starts from.

    Raises
    ------
    ConfigError
        The recording has no such array, or too few columns; ``name`` is the data set to name.
    """
    values = getattr(recording, source.key)
    n_columns = 0 if values is None else values.shape[1]
    if not source.columns or max(source.columns) >= n_columns:
        found = "is not there" if values is None else f"has {n_columns} columns"
        raise ConfigError(
            f"data set '{name}': behavior asks for columns {source.columns} of '{source.key}', "
            f"which {found} in the recording; change the source, or set behavior: []"
        )
    return values[:, source.columns]


def known_bins(values: Sequence[Run], n_bins: int) -> NDArray[np.bool_]:
    """(T,) where all sources are known."""
    known = [np.isfinite(columns).all(axis=1) for columns in values]
    return np.logical_and.reduce(known, axis=0) if known else np.ones(n_bins, bool)


def known_runs(known: NDArray[np.bool_], trials: NDArray[np.integer]) -> NDArray[np.int64]:
    """(run, 2) first bin and one past the last of bins in a row, within trials."""
    length = run_lengths(known, trials)
    lasts = np.flatnonzero(length > np.r_[length[1:], 0])
    return np.stack([lasts + 1 - length[lasts], lasts + 1], axis=1)


def fit_behavior(
    sources: Sequence[V1Source], values: Sequence[Run], runs: NDArray[np.integer]
) -> list[list[Statistics]]:
    """Statistics of each source's transforms, from runs of training trials."""
    return [
        fit_transforms(source.transforms, [columns[a:b] for a, b in runs])
        for source, columns in zip(sources, values, strict=True)
    ]


def transform_behavior(
    sources: Sequence[V1Source],
    values: Sequence[Run],
    runs: NDArray[np.integer],
    fitted: Sequence[Sequence[Statistics]],
) -> NDArray[np.float32] | None:
    """(T, D) columns of all sources, 0 outside of the runs; None without sources."""
    columns = []
    for source, raw, statistics in zip(sources, values, fitted, strict=True):
        transformed = np.zeros((len(raw), source.dims), np.float32)
        for a, b in runs:
            transformed[a:b] = apply_transforms(source.transforms, statistics, raw[a:b])
        columns.append(transformed)
    return np.concatenate(columns, axis=1) if columns else None
