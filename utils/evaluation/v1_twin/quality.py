"""Is a cell fit to be modelled? What its recording says, whatever a model makes of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from utils.datasets.v1.dataset import V1Dataset
from utils.evaluation.v1_twin.rates import by_repeat, repeated_types
from utils.evaluation.v1_twin.scores import cell_index
from utils.metrics import mean_rates, reliability

REFRACTORY_S = 0.0015  # one neuron does not fire twice within this time

SLOWEST_HZ = 0.5
MOST_MISSING = 0.1
MOST_CONTAMINATED = 0.1
MOST_IMPOSSIBLE = 0.01
LEAST_RELIABLE = 0.2


def quality_table(dataset: V1Dataset) -> pd.DataFrame:
    """Quality of the cells of a data set, from all of its trials.

    Returns
    -------
    Indexed by data set and cell:

    rate_hz : mean rate in the bins that count.
    missing : share of the usable bins in which the cell is not valid.
    contamination : as the recording's metadata have it, from the sorter of spikes: counts in bins
        do not tell whether a spike came within the refractory period of another one. NaN without.
    impossible : share of the bins with more spikes than one neuron can fire in a bin, at least
        1.5 ms apart: what counts do tell. It is far below the contamination; simulated Poisson
        cells may have some.
    reliability : of the mean over repeats, see :func:`utils.metrics.reliability`; of the movie
        in which the cell is most reliable. NaN with fewer than 20 repeats.
    flags : what speaks against the cell, in words; empty for a good one.
    """
    rate_hz = dataset.recording.metadata["rate_hz"]
    counts = np.asarray(dataset.responses, np.float64)
    possible = 1 + np.floor(1 / rate_hz / REFRACTORY_S)
    table = pd.DataFrame(
        {
            "rate_hz": mean_rates(counts, dataset.counts) * rate_hz,
            "missing": dataset.missing,
            "contamination": _sorter_says(dataset),
            "impossible": mean_rates(counts > possible, dataset.counts),
            "reliability": _reliability(dataset),
        },
        index=cell_index(dataset),
    )
    return table.assign(flags=_flags(table))


def _sorter_says(dataset: V1Dataset) -> NDArray[np.float64]:
    """Contamination of the cells in use, where the recording knows it."""
    metadata = dataset.recording.metadata
    if "contamination" not in metadata:
        return np.full(len(dataset.config.cell_ids), np.nan)
    known = dict(zip(metadata["cell_ids"], metadata["contamination"], strict=True))
    return np.array([known[cell] for cell in dataset.config.cell_ids], float)


def _reliability(dataset: V1Dataset) -> NDArray[np.float64]:
    found = [np.full(dataset.config.n_cells, np.nan)]
    for name in repeated_types(dataset):
        found.append(reliability(by_repeat(dataset.responses, dataset, name, dataset.counts)))
    return np.fmax.reduce(found)


def _flags(table: pd.DataFrame) -> list[str]:
    found = {
        "no valid bins": table["rate_hz"].isna(),
        "silent": table["rate_hz"] < SLOWEST_HZ,
        "missing bins": table["missing"] > MOST_MISSING,
        "contaminated": table["contamination"] > MOST_CONTAMINATED,
        "impossible counts": table["impossible"] > MOST_IMPOSSIBLE,
        "unreliable": table["reliability"] < LEAST_RELIABLE,
    }
    return [
        ", ".join(flag for flag, cells in found.items() if cells.iloc[cell])
        for cell in range(len(table))
    ]
