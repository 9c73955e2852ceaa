"""What can be decoded from windows of activity, beside linear decoders, on held-out blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression, Ridge
from tqdm.auto import tqdm

from utils.datasets.time_frequency import Target, TimeFrequencyConfig, TimeFrequencyData
from utils.datasets.time_frequency_module import TimeFrequencyModule
from utils.metrics.bootstrap import MIN_BLOCKS, interval_of_draws
from utils.models.spectral import SpectralConfig, SpectralNetwork
from utils.splits import TEST, TRAIN, VALIDATION

CONSTANT, LINEAR_MEANS, LINEAR_IMAGES = "constant", "linear on means", "linear on images"
LINEAR = (LINEAR_MEANS, LINEAR_IMAGES)
BASELINES = (CONSTANT, *LINEAR)
PENALTIES = 10.0 ** np.arange(0, 7)  # of ridge; logistic regression takes their inverse
BLOCK_SECONDS = 30.0  # six windows
Prediction = NDArray[np.float64]  # (window, class) probabilities, or (window,) of a quantity
Score = Callable[[Prediction, NDArray[np.float64]], float]


class DecodingExperiment(SpectralConfig):
    """``3_MODELLING/experiments/decoding/*.yaml``: a spectral model and its images."""

    images: TimeFrequencyConfig = TimeFrequencyConfig()


def baseline_predictions(data: TimeFrequencyData) -> dict[str, dict[str, Prediction]]:
    """Test predictions of the baselines: model -> target -> (window of the test, ...).

    The constant says what training says on average; linear decoders (ridge for quantities,
    logistic regression for classes) see the mean of each channel, or the images. The validation
    block chooses their penalty.
    """
    flat = data.images.reshape(len(data.images), -1)
    inputs = {LINEAR_MEANS: data.means, LINEAR_IMAGES: flat}
    found: dict[str, dict[str, Prediction]] = {name: {} for name in BASELINES}
    for i, target in enumerate(data.targets):
        found[CONSTANT][target.name] = _constant(data, i)
        for name, features in inputs.items():
            found[name][target.name] = _linear(features, data, i)
    return found


def network_predictions(
    network: SpectralNetwork, module: TimeFrequencyModule
) -> dict[str, Prediction]:
    """Test predictions of a network: target -> (window of the test, ...).

    Of a quantity, a network with classes says the mean of its distribution.
    """
    said = network.predict(module.test_dataloader())
    found = {}
    for target in module.parameters:
        one = said[target.name]
        if one.probabilities is None:
            found[target.name] = (
                np.eye(target.n_classes)[one.classes] if target.classes else one.values
            )
        elif target.classes:
            found[target.name] = one.probabilities.astype(float)
        else:
            found[target.name] = one.probabilities @ target.class_values
    return found


def score_decoders(
    data: TimeFrequencyData,
    predictions: Mapping[str, Mapping[str, Prediction]],
    *,
    block_seconds: float = BLOCK_SECONDS,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Scores on the test block with intervals over blocks of time.

    Classes: ``auroc`` (mean over classes, one against the rest) and ``balanced_accuracy``;
    quantities: ``r2``. Models are compared with the better of the linear decoders on the same
    draws of blocks, which favours the linear one.

    Parameters
    ----------
    predictions : model -> target -> predictions, those of :func:`baseline_predictions` among them.

    Returns
    -------
    One row per target, metric and model: score, low, high, chance, n (windows), n_blocks,
    over_linear with over_low and over_high (NaN for baselines), and the verdict in words.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict] = []
    test = data.samples(TEST)
    for i, target in enumerate(tqdm(data.targets, desc="targets")):
        known = np.flatnonzero(np.isfinite(data.values[test, i]))
        truth = data.values[test[known], i]
        draws = _drawn_blocks(data.seconds[test[known]], block_seconds, n_resamples, rng)
        metrics = {"auroc": auroc, "balanced_accuracy": balanced_accuracy}
        for metric, score in (metrics if target.classes else {"r2": r2}).items():
            of_models = {
                model: _scored(score, said[target.name][known], truth, draws)
                for model, said in predictions.items()
            }
            about = {"target": target.name, "metric": metric, "chance": _chance(metric, truth)}
            about |= {"n": len(known), "n_blocks": draws.n_blocks}
            rows += [about | row for row in _rows(of_models, draws.n_blocks, level)]
    table = pd.DataFrame(rows)
    table["verdict"] = [_verdict(row) for _, row in table.iterrows()]
    return table


def auroc(probabilities: Prediction, truth: NDArray[np.float64]) -> float:
    """Area under the receiver's curve, mean over the classes that are there; 0.5 is chance."""
    areas = []
    for k in np.unique(truth).astype(int):
        ours = truth == k
        n, others = ours.sum(), (~ours).sum()
        if others:
            ranks = rankdata(probabilities[:, k])[ours].sum()
            areas.append((ranks - n * (n + 1) / 2) / (n * others))
    return float(np.mean(areas)) if areas else np.nan


def balanced_accuracy(probabilities: Prediction, truth: NDArray[np.float64]) -> float:
    """Share of right answers, mean over the classes that are there."""
    right = probabilities.argmax(axis=1) == truth
    return float(np.mean([right[truth == k].mean() for k in np.unique(truth)]))


def r2(values: Prediction, truth: NDArray[np.float64]) -> float:
    """1 - squared error / variance of the truth; NaN where that is 0."""
    spread = np.square(truth - truth.mean()).sum()
    return float(1 - np.square(values - truth).sum() / spread) if spread > 0 else np.nan


class _Draws:
    """Windows of blocks of time that were drawn with replacement."""

    def __init__(self, n_blocks: int, windows: list[NDArray[np.int64]]) -> None:
        self.n_blocks, self.windows = n_blocks, windows


def _drawn_blocks(
    seconds: NDArray[np.float64], length: float, n_resamples: int, rng: np.random.Generator
) -> _Draws:
    """No draws where there are too few blocks for an interval."""
    _, block = np.unique((seconds - seconds.min()) // length, return_inverse=True)
    members = [np.flatnonzero(block == b) for b in range(block.max() + 1)]
    n = len(members)
    drawn = rng.integers(n, size=(n_resamples if n >= MIN_BLOCKS else 0, n))
    return _Draws(n, [np.concatenate([members[b] for b in row]) for row in drawn])


def _scored(
    score: Score, said: Prediction, truth: NDArray[np.float64], draws: _Draws
) -> tuple[float, NDArray[np.float64]]:
    """The score of all windows, and (draw,) those of the draws."""
    return score(said, truth), np.array([score(said[w], truth[w]) for w in draws.windows])


def _rows(
    of_models: dict[str, tuple[float, NDArray[np.float64]]], n_blocks: int, level: float
) -> list[dict]:
    """Score and interval of each model, and its lead over the better linear decoder."""
    linear = max((of_models[name] for name in LINEAR if name in of_models), key=lambda s: s[0])
    rows = []
    for name, (score, draws) in of_models.items():
        low, high = _interval(score, draws, n_blocks, level)
        lead = score - linear[0]
        over = _interval(lead, draws - linear[1], n_blocks, level)
        if name in BASELINES:
            lead, over = np.nan, (np.nan, np.nan)
        row = {"model": name, "score": score, "low": low, "high": high}
        rows.append(row | {"over_linear": lead, "over_low": over[0], "over_high": over[1]})
    return rows


def _interval(
    score: float, draws: NDArray[np.float64], n_blocks: int, level: float
) -> tuple[float, float]:
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return np.nan, np.nan
    low, high = interval_of_draws(np.array([score]), draws[:, None], n_blocks, level)
    return float(low[0]), float(high[0])


def _chance(metric: str, truth: NDArray[np.float64]) -> float:
    return {"auroc": 0.5, "balanced_accuracy": 1 / len(np.unique(truth)), "r2": 0.0}[metric]


def _verdict(row: pd.Series) -> str:
    if row["n_blocks"] < MIN_BLOCKS:
        return f"interval not estimable ({row['n_blocks']} blocks, {MIN_BLOCKS} needed)"
    above = "above chance" if row["low"] > row["chance"] else "not above chance"
    if row["model"] in BASELINES:
        return above
    if row["over_low"] > 0:
        return f"{above}, better than linear"
    worse = "worse than linear" if row["over_high"] < 0 else "not better than linear"
    return f"{above}, {worse}"


def _constant(data: TimeFrequencyData, i: int) -> Prediction:
    """Shares of the classes, or the mean, of the training windows."""
    train, n_test = data.known(TRAIN, i), len(data.samples(TEST))
    target = data.targets[i]
    if not target.classes:
        return np.full(n_test, data.values[train, i].mean())
    counts = np.bincount(data.labels[train, i], minlength=target.n_classes)
    return np.tile(counts / counts.sum(), (n_test, 1))


def _linear(features: NDArray[np.float32], data: TimeFrequencyData, i: int) -> Prediction:
    """The linear decoder whose penalty is best on the validation block."""
    train, check, test = data.known(TRAIN, i), data.known(VALIDATION, i), data.samples(TEST)
    target = data.targets[i]
    truth = data.labels[:, i] if target.classes else data.values[:, i]
    best, lowest = None, np.inf
    for penalty in PENALTIES:
        model = (
            LogisticRegression(C=1 / penalty, max_iter=2000) if target.classes else Ridge(penalty)
        )
        model.fit(features[train], truth[train])
        loss = _loss(_said(model, features[check], target), truth[check], target)
        if loss < lowest:
            best, lowest = model, loss
    return _said(best, features[test], target)


def _said(
    model: LogisticRegression | Ridge, features: NDArray[np.float32], target: Target
) -> Prediction:
    """Predictions; classes that training lacks have probability 0."""
    if not target.classes:
        return model.predict(features).astype(float)
    probabilities = np.zeros((len(features), target.n_classes))
    probabilities[:, model.classes_] = model.predict_proba(features)
    return probabilities


def _loss(said: Prediction, truth: NDArray, target: Target) -> float:
    """Squared error, or minus the logarithm of the probability of the true class."""
    if not target.classes:
        return float(np.square(said - truth).mean())
    return float(-np.log(np.maximum(said[np.arange(len(truth)), truth], 1e-9)).mean())
