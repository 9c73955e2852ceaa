"""Scores of predicted rates, cell by cell, beside floors and beside what the truth scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from utils.datasets.v1.dataset import V1Dataset
from utils.datasets.v1.simulated import truth_path
from utils.datasets.v1.splits import HELD_OUT
from utils.evaluation.v1_twin.rates import by_repeat, of_type, repeated_types
from utils.metrics import bits_per_spike, ccnorm, mean_rates, one_minus_alpha
from utils.simulation.v1 import V1Truth, load_v1_truth
from utils.splits import TEST, TRAIN

Floats = NDArray[np.floating]


def score_cells(
    dataset: V1Dataset,
    rates: Floats,
    floors: Mapping[str, Floats],
    truth: V1Truth | None = None,
) -> pd.DataFrame:
    """Scores of the cells on test trials, of all types of stimuli that are not held out.

    Parameters
    ----------
    rates : (time, cell) counts per bin, known in all test bins that count.
    floors : the same of other models, by name.

    Returns
    -------
    Indexed by data set and cell:

    n_spikes : in the test bins that count; their number is the weight of a score.
    bits_per_spike : gain over the mean rate of training, see :func:`utils.metrics.bits_per_spike`.
    one column for each floor : the same, of the floor.
    oracle : what the true rates score in expectation; NaN where they are not known.
    vision_oracle : what the true rates without the modulation by saccades score.
    fraction_of_oracle : bits per spike over those of the oracle.
    """
    counted = dataset.counted(TEST)
    against = mean_rates(dataset.responses, dataset.counted(TRAIN)), counted
    table = pd.DataFrame(index=cell_index(dataset))
    table["n_spikes"] = np.where(counted, dataset.responses, 0).sum(axis=0)
    table["bits_per_spike"] = bits_per_spike(dataset.responses, rates, *against)
    for name, values in floors.items():
        table[name] = bits_per_spike(dataset.responses, values, *against)
    table["oracle"] = table["vision_oracle"] = np.nan
    if truth is not None:
        true, visual = true_rates(dataset, truth)
        table["oracle"] = bits_per_spike(true, true, *against)
        table["vision_oracle"] = bits_per_spike(true, visual, *against)
    return table.assign(fraction_of_oracle=_ratio(table["bits_per_spike"], table["oracle"]))


def score_types(dataset: V1Dataset, rates: Floats, truth: V1Truth | None = None) -> pd.DataFrame:
    """Scores of the cells for each type of stimulus, on its test or held-out trials.

    Returns
    -------
    Indexed by data set, cell and type; for a movie that is repeated there are also

    ccnorm : see :func:`utils.metrics.ccnorm`; the predictions know the gaze of each repeat, so that
        1 is no bound unless eye movements are taken out of the stimulus.
    one_minus_alpha : share of the variance of rates that is not repeated, of the counts.
    one_minus_alpha_twin : of the predicted rates.
    one_minus_alpha_truth : of the true rates.
    """
    unseen = dataset.counted(TEST) | dataset.counted(HELD_OUT)
    against = mean_rates(dataset.responses, dataset.counted(TRAIN))
    true, _ = (None, None) if truth is None else true_rates(dataset, truth)
    tables = {}
    for name in dataset.recording.metadata["stim_types"]:
        counted = unseen & of_type(dataset, name)[:, None]
        if not counted.any():
            continue
        table = pd.DataFrame(index=cell_index(dataset))
        table["bits_per_spike"] = bits_per_spike(dataset.responses, rates, against, counted)
        table["oracle"] = np.nan
        if true is not None:
            table["oracle"] = bits_per_spike(true, true, against, counted)
        table["fraction_of_oracle"] = _ratio(table["bits_per_spike"], table["oracle"])
        if name in repeated_types(dataset):
            table = table.assign(**_repeat_scores(dataset, rates, true, name, counted))
        tables[name] = table
    return pd.concat(tables, names=["type"]).reorder_levels(["dataset", "cell", "type"])


def cell_index(dataset: V1Dataset) -> pd.MultiIndex:
    """Name of the data set and number of the cell."""
    cells = [[dataset.config.name], dataset.config.cell_ids]
    return pd.MultiIndex.from_product(cells, names=["dataset", "cell"])


def cell_columns(dataset: V1Dataset) -> list[int]:
    """Places of the data set's cells among those of its recording."""
    ids = list(dataset.recording.metadata["cell_ids"])
    return [ids.index(cell) for cell in dataset.config.cell_ids]


def find_truth(dataset: V1Dataset) -> V1Truth | None:
    """The truth beside the file of a simulated recording; None for any other recording."""
    path = dataset.recording.path
    if path is None or not truth_path(path).is_file():
        return None
    return load_v1_truth(truth_path(path))


def true_rates(dataset: V1Dataset, truth: V1Truth) -> tuple[Floats, Floats]:
    """Rates (time, cell) of the data set's cells: true ones, and those without saccades.

    Raises
    ------
    ValueError
        The truth is of another recording.
    """
    recorded = dataset.recording.n_bins, dataset.recording.n_cells
    if truth.rates.shape != recorded:
        raise ValueError(
            f"data set '{dataset.config.name}' has (bins, cells) {recorded}, its truth "
            f"{truth.rates.shape}: it is that of another recording, or of another rate"
        )
    columns = cell_columns(dataset)
    return truth.rates[:, columns], truth.visual_rates[:, columns]


def _repeat_scores(
    dataset: V1Dataset,
    rates: Floats,
    true: Floats | None,
    stim_type: str,
    counted: NDArray[np.bool_],
) -> dict[str, Floats]:
    def repeats(values: Floats) -> Floats:
        return by_repeat(values, dataset, stim_type, counted)

    responses, predictions = repeats(dataset.responses), repeats(rates)
    scores = {
        "ccnorm": ccnorm(responses, predictions),
        "one_minus_alpha": one_minus_alpha(responses),
        "one_minus_alpha_twin": one_minus_alpha(predictions, poisson=False),
    }
    if true is not None:
        scores["one_minus_alpha_truth"] = one_minus_alpha(repeats(true), poisson=False)
    return scores


def _ratio(scores: pd.Series, oracle: pd.Series) -> pd.Series:
    """NaN where the oracle itself does not score."""
    return scores / oracle.where(oracle > 0)
