"""Scores of a spectral model, head by head and in physical units, beside baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from utils.config import near_matches
from utils.datasets.vimh import VIMHDataModule, learnable_heads
from utils.evaluation.spectral.baselines import (
    BASELINES,
    Predictions,
    Samples,
    baseline_predictions,
    samples_of,
    true_classes,
)
from utils.evaluation.spectral.units import unit_of
from utils.metrics.classification import accuracy_table
from utils.metrics.heads import (
    calibration_error,
    just_noticeable_difference_score,
    mean_absolute_error,
    reliability_table,
)
from utils.models.spectral import Head, HeadPrediction, SpectralNetwork
from utils.models.spectral.fit import Loader, SpectralData
from utils.plots.elm_scores import plot_confusion
from utils.plots.spectral import plot_heads, plot_reliability

MODEL, CEILING = "model", "true class"
SMALLEST = 4.0, 3.6  # inches of a figure whose colour bar can be read
SHARES, COUNTS = ["accuracy", "low", "high"], ["n", "baseline"]  # of accuracy_table


class TestedData(SpectralData, Protocol):
    """What models are scored on, such as :class:`utils.datasets.vimh.VIMHDataModule`."""

    def test_dataloader(self) -> Loader:
        """Batches that no fit and no choice has seen."""


@dataclass(frozen=True, eq=False)
class SpectralEvaluation:
    """What :func:`evaluate_spectral` found.

    Attributes
    ----------
    table : scores by head and model, see :func:`score_heads`; with ``identifiable``, whether the
        head can be learned from these inputs at all (missing where that is not known).
    learnable : of :func:`utils.datasets.vimh.learnable_heads`; None for other data.
    heads : of the model.
    predictions : of the model, by head.
    truth : the test samples.
    """

    table: pd.DataFrame
    learnable: pd.DataFrame | None
    heads: tuple[Head, ...]
    predictions: Predictions
    truth: Samples

    def figures(self) -> dict[str, Figure]:
        """Predicted against true values, confusions of classes, and reliability, by name."""
        units = {head.name: unit_of(head.name) for head in self.heads}
        pairs, tables, figures = {}, {}, {}
        for place, head in enumerate(self.heads):
            labels, values, known = _truth_of(self.truth, place, head)
            said = _at(self.predictions[head.name], known)
            pairs[head.name] = values, said.values
            if said.probabilities is not None:
                tables[head.name] = reliability_table(said.probabilities, labels)
            counts = confusion_matrix(labels, said.classes, labels=np.arange(head.n_classes))
            figure = plot_confusion(counts, [f"{value:.4g}" for value in head.class_values])
            figure.set_size_inches(np.maximum(figure.get_size_inches(), SMALLEST))
            figure.axes[0].set(xlabel=f"answered ({units[head.name]})", ylabel=head.name)
            figures[f"confusion of {head.name}"] = figure
        figures = {"predicted against true": plot_heads(pairs, units)} | figures
        return figures | ({"reliability": plot_reliability(tables)} if tables else {})


def evaluate_spectral(
    model: SpectralNetwork, data: TestedData, tolerances: Mapping[str, float] | None = None
) -> SpectralEvaluation:
    """Score a model on the test part of a data set, beside baselines fitted to its training part.

    Parameters
    ----------
    tolerances : of the just-noticeable-difference score by head, in its unit; one step of its
        classes where not given.

    Raises
    ------
    ValueError
        Heads of the model that are not those of the data set, or tolerances of unknown heads.
    """
    check_heads(model.heads, data)
    test = samples_of(data.test_dataloader())
    predictions = model.predict(data.test_dataloader())
    references = reference_predictions(data, test, model.heads)
    table = score_heads({MODEL: predictions} | references, test, model.heads, tolerances)
    learnable = learnable_heads(data.data) if isinstance(data, VIMHDataModule) else None
    table["identifiable"] = table.index.get_level_values("head").map(
        identifiable_heads(learnable, data)
    )
    return SpectralEvaluation(table, learnable, model.heads, predictions, test)


def reference_predictions(
    data: TestedData, test: Samples, heads: Sequence[Head]
) -> dict[str, Predictions]:
    """Those of the baselines, and the ``true class``: what no head with classes exceeds."""
    train = samples_of(data.train_dataloader())
    return baseline_predictions(train, test, heads) | {CEILING: true_classes(test, heads)}


def score_heads(
    predictions: Mapping[str, Predictions],
    truth: Samples,
    heads: Sequence[Head],
    tolerances: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Scores of several models on the same samples.

    Returns
    -------
    Index = head, model. ``unit``; ``accuracy`` of classes with its 95 % Wilson interval ``low`` ..
    ``high``; ``mae``, of values against true values, and ``class_mae``, of values of classes
    against those of the true classes, in the unit; ``jnd``, the just-noticeable-difference score
    of the values; ``calibration_error`` of the probabilities, NaN without them; ``n`` samples
    whose truth is known (their class is not -1); ``baseline``.

    Raises
    ------
    ValueError
        A head without any such sample, or tolerances of unknown heads.
    """
    tolerances = {head.name: head.step for head in heads} | _known(tolerances or {}, heads)
    tables = {}
    for place, head in enumerate(heads):
        labels, values, known = _truth_of(truth, place, head)
        said = {model: _at(by_head[head.name], known) for model, by_head in predictions.items()}
        table = accuracy_table(
            {model: (labels, one.classes) for model, one in said.items()}, (*BASELINES, CEILING)
        )
        rows = [_scores(head, one, labels, values, tolerances[head.name]) for one in said.values()]
        scores = pd.DataFrame(rows, index=table.index)
        tables[head.name] = table[SHARES].join([scores, table[COUNTS]])
        tables[head.name].insert(0, "unit", unit_of(head.name))
    return pd.concat(tables, names=["head"])


def identifiable_heads(learnable: pd.DataFrame | None, data: TestedData) -> dict[str, bool]:
    """Can a head be learned from the inputs of a data set? Without a report nothing is said."""
    if learnable is None:
        return {}
    inputs = "image + scale" if "scale" in data.auxiliary.names else "image"
    rows = learnable[learnable["inputs"] == inputs]
    return dict(zip(rows["parameter"], rows["identifiable"]))


def check_heads(heads: Sequence[Head], data: TestedData) -> None:
    """Refuse a data set whose parameters are not the heads.

    Raises
    ------
    ValueError
        Other names, ranges or steps.
    """
    ours = [(h.name, h.minimum, h.maximum, h.step) for h in heads]
    theirs = [(p.name, p.min, p.max, p.step) for p in data.parameters]
    if ours != theirs:
        raise ValueError(
            "the data set has other parameters (name, min, max, step) than the model has heads: "
            f"{theirs} and {ours}; score it on a data set of the same synthesiser"
        )


def _truth_of(
    truth: Samples, place: int, head: Head
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Classes and values of the samples whose truth is known, and which these are."""
    known = truth.labels[:, place] >= 0
    if not known.any():
        raise ValueError(f"head '{head.name}': no test sample has a truth; leave the head out")
    return truth.labels[known, place], truth.values[known, place], known


def _at(said: HeadPrediction, known: NDArray[np.bool_]) -> HeadPrediction:
    return HeadPrediction(*(part if part is None else part[known] for part in said))


def _scores(
    head: Head, said: HeadPrediction, labels: NDArray, values: NDArray, tolerance: float
) -> dict[str, float]:
    of_class = head.class_values
    calibration = np.nan
    if said.probabilities is not None:
        calibration = calibration_error(said.probabilities, labels)
    return {
        "mae": mean_absolute_error(said.values, values),
        "class_mae": mean_absolute_error(of_class[said.classes], of_class[labels]),
        "jnd": just_noticeable_difference_score(said.values, values, tolerance),
        "calibration_error": calibration,
    }


def _known(tolerances: Mapping[str, float], heads: Sequence[Head]) -> dict[str, float]:
    names = [head.name for head in heads]
    for name in tolerances:
        if name not in names:
            raise ValueError(f"tolerances: no head '{name}'{near_matches(name, names)}")
    return dict(tolerances)
