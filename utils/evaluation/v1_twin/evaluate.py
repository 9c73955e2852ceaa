"""All that is asked of a twin at once: scores, quality of cells, probes, and figures of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from utils.datasets.v1.dataset import V1Dataset
from utils.datasets.v1.module import V1DataModule
from utils.evaluation.v1_twin.floors import floor_rates
from utils.evaluation.v1_twin.probes import (
    true_fields,
    twin_fields,
    twin_saccades,
    why_no_fields,
    why_no_saccades,
)
from utils.evaluation.v1_twin.quality import quality_table
from utils.evaluation.v1_twin.rates import predict_rates
from utils.evaluation.v1_twin.recovery import recovery_table, true_kernels
from utils.evaluation.v1_twin.saccades import SaccadeResponses
from utils.evaluation.v1_twin.scores import (
    cell_columns,
    cell_index,
    find_truth,
    score_cells,
    score_types,
)
from utils.models.v1_twin.twin import V1Twin
from utils.plots.v1_responses import plot_quality, plot_saccades
from utils.plots.v1_twin import plot_recovery, plot_scores
from utils.simulation.v1 import V1Truth

logger = logging.getLogger(__name__)

Floats = NDArray[np.floating]
Rates = dict[str, Floats]  # by name of a floor

CELLS_DRAWN = 5  # in a figure with a panel for each cell
SUMMARISED = ("bits_per_spike", "oracle", "vision_oracle", "fraction_of_oracle")


@dataclass(frozen=True)
class TwinEvaluation:
    """Tables of a twin on one or more data sets, indexed by data set and cell.

    Attributes
    ----------
    cells : quality and scores on test trials, see :func:`~utils.evaluation.v1_twin.quality_table`
        and :func:`~utils.evaluation.v1_twin.score_cells`.
    types : scores by type of stimulus, see :func:`~utils.evaluation.v1_twin.score_types`.
    fields : receptive fields of the twin: azimuth, elevation (deg), sf (c/deg), ori (deg), f1_f0.
        No columns for a twin that sees no frames.
    true_fields, recovery : the same columns of the truth, and how far the twin is from them, see
        :func:`~utils.evaluation.v1_twin.recovery_table`. Empty where no truth is known.
    saccades : responses around saccades, by data set that has a gaze.
    true_kernels : (lag, cell) of the same data sets where a truth is known.
    rates : predictions (time, cell) by data set, NaN outside of test and held-out trials.
    floors : names of the floors that were fitted.
    left_out : what could not be had, and why.
    """

    cells: pd.DataFrame
    types: pd.DataFrame
    fields: pd.DataFrame
    true_fields: pd.DataFrame
    recovery: pd.DataFrame
    saccades: Mapping[str, SaccadeResponses]
    true_kernels: Mapping[str, Floats]
    rates: Mapping[str, Floats]
    floors: tuple[str, ...]
    left_out: tuple[str, ...]

    def summary(self) -> pd.DataFrame:
        """Median and quartiles over cells of each score, and in how many cells it is known.

        ``better_in``, in the row of a floor, is the share of the cells in which the twin scores
        more.
        """
        scores = self.cells[["bits_per_spike", *self.floors, *SUMMARISED[1:]]]
        table = scores.quantile([0.5, 0.25, 0.75]).T.set_axis(["median", "q25", "q75"], axis=1)
        table["n_cells"] = scores.notna().sum()
        table["better_in"] = np.nan
        for name in self.floors:
            both = scores[["bits_per_spike", name]].dropna()
            table.loc[name, "better_in"] = (both["bits_per_spike"] > both[name]).mean()
        return table[table["n_cells"] > 0].rename_axis("score")

    def figures(self) -> dict[str, Figure]:
        """Scores, quality, and where they are known receptive fields and saccades."""
        scores = self.cells.rename(columns={"bits_per_spike": "twin"}).dropna(axis=1, how="all")
        figures = {
            "scores": plot_scores(scores, self.floors),
            "quality": plot_quality(self.cells),
        }
        if len(self.recovery) and len(self.fields.columns):
            figures["recovery"] = plot_recovery(self.true_fields, {"twin": self.fields})
        for name, around in self.saccades.items():
            figures[f"saccades {name}"] = self._draw_saccades(name, around)
        return figures

    def _draw_saccades(self, name: str, around: SaccadeResponses) -> Figure:
        """Of the cells that the twin predicts best."""
        cells = self.cells.loc[name]
        best = np.argsort(-cells["bits_per_spike"].fillna(-np.inf).to_numpy())[:CELLS_DRAWN]
        rate_hz = (len(around.lags_s) - 1) / (around.lags_s[-1] - around.lags_s[0])
        values = (around.data, around.model, around.ablated, around.kernel)
        return plot_saccades(
            around.lags_s,
            *(each[:, best] for each in values),
            rate_hz,
            [f"cell {cells.index[cell]}" for cell in best],
            around.n_saccades,
            self.true_kernels[name][:, best] if name in self.true_kernels else None,
        )


def evaluate_twin(
    model: V1Twin,
    data: V1DataModule,
    *,
    truth: Mapping[str, V1Truth] | None = None,
    floors: Mapping[str, Rates] | None = None,
) -> TwinEvaluation:
    """Score a twin on trials it was not fitted to, and ask what it has learnt.

    Parameters
    ----------
    model : of the data sets in ``data``; used in evaluation mode, on its device.
    data : with the splits and the transforms that the twin was trained with.
    truth : of simulated recordings, by name of the data set; where it lies beside the recording's
        file it is found.
    floors : :func:`~utils.evaluation.v1_twin.floor_rates` by name of the data set, to fit them once
        for several twins; fitted where None.

    Raises
    ------
    ValueError
        The twin is of other cells than the data, or responses are not counts.
    """
    parts = []
    for name, dataset in data.datasets.items():
        _check(model, dataset)
        known = (truth or {}).get(name) or find_truth(dataset)
        of_set = floor_rates(dataset) if floors is None else floors[name]
        parts.append(_evaluate_one(model, dataset, data.sequence_bins, known, of_set))
    for reason in (reason for part in parts for reason in part.left_out):
        logger.info("left out: %s", reason)
    return _together(parts)


def _evaluate_one(
    model: V1Twin, dataset: V1Dataset, sequence_bins: int, truth: V1Truth | None, floors: Rates
) -> TwinEvaluation:
    name = dataset.config.name
    rates = predict_rates(model, dataset, sequence_bins=sequence_bins)
    fields, true = pd.DataFrame(index=cell_index(dataset)), pd.DataFrame()
    recovery, saccades, kernels = true, None, None
    no_fields, no_saccades = why_no_fields(model, dataset), why_no_saccades(model, dataset)
    if not no_saccades:
        saccades = twin_saccades(model, dataset, sequence_bins)
        if truth is not None:
            kernels = true_kernels(truth, saccades.lags_s)[:, cell_columns(dataset)]
    if not no_fields:
        fields = twin_fields(model, dataset)
    if truth is not None:
        true = true_fields(dataset, truth)
        both = None if saccades is None else (kernels, saccades.kernel)
        recovery = recovery_table(true, fields, both)
    reasons = {"receptive fields": no_fields, "saccades": no_saccades}
    return TwinEvaluation(
        cells=_flagged(quality_table(dataset).join(score_cells(dataset, rates, floors, truth))),
        types=score_types(dataset, rates, truth),
        fields=fields,
        true_fields=true,
        recovery=recovery,
        saccades={} if saccades is None else {name: saccades},
        true_kernels={} if kernels is None else {name: kernels},
        rates={name: rates},
        floors=tuple(floors),
        left_out=tuple(f"{what} of '{name}': {why}" for what, why in reasons.items() if why),
    )


def _together(parts: Sequence[TwinEvaluation]) -> TwinEvaluation:
    """One evaluation of all data sets."""
    tables = ("cells", "types", "fields", "true_fields", "recovery")
    return TwinEvaluation(
        **{name: pd.concat([getattr(part, name) for part in parts]) for name in tables},
        saccades={name: found for part in parts for name, found in part.saccades.items()},
        true_kernels={n: known for part in parts for n, known in part.true_kernels.items()},
        rates={name: rates for part in parts for name, rates in part.rates.items()},
        floors=tuple(dict.fromkeys(floor for part in parts for floor in part.floors)),
        left_out=tuple(reason for part in parts for reason in part.left_out),
    )


def _flagged(cells: pd.DataFrame) -> pd.DataFrame:
    """Flags, and one more where the twin is worse than the mean rate."""
    worse = np.where(cells["bits_per_spike"] < 0, "worse than the mean rate", "")
    flags = [", ".join(filter(None, pair)) for pair in zip(cells["flags"], worse)]
    return cells.assign(flags=flags)


def _check(model: V1Twin, dataset: V1Dataset) -> None:
    name, cells = dataset.config.name, tuple(dataset.config.cell_ids)
    known = tuple(model.datasets[name].cell_ids) if name in model.datasets else None
    if known != cells:
        found = "no such data set" if known is None else f"cells {known}"
        raise ValueError(f"data set '{name}' has cells {cells}; the twin has {found}")
    if np.nanmin(np.where(dataset.counts, dataset.responses, 0)) < 0:
        raise ValueError(
            f"data set '{name}' has negative responses: bits per spike are for counts, or for "
            "deconvolved activity"
        )
