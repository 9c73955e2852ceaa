"""A floor for twins: each cell as one linear filter in space and time, then a nonlinearity.

Frames are described by the lowest frequencies of their cosine transform. Seen through eyes that
move in all directions these are nearly uncorrelated, so that ridge regression falls into small
problems, one for each frequency, which are solved at once. The filter is reduced to a few products
of a spatial and a temporal part, and the nonlinearity is the mean count over quantiles of its
output (Chichilnisky 2001, "A simple white noise analysis of neuronal light responses", Network 12).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import dctn, idctn
from scipy.linalg import toeplitz
from tqdm.auto import tqdm

from utils.metrics.spikes import bits_per_spike, mean_rates, valid_bins

Floats = NDArray[np.floating]

GREY = 127.0
N_FREQUENCIES = 512  # of the cosine transform: up to 9 c/deg in frames of 51 pixels, 1.36 deg
PENALTIES = tuple(np.geomspace(1e-3, 100, 6))  # relative to the mean power of a frequency
RANKS = (1, 2)
QUANTILES = np.array([0, 0.2, 0.4, 0.55, 0.7, 0.8, 0.87, 0.92, 0.95, 0.97, 0.985, 0.995, 1])
MIN_BINS = 200  # to validate on, so that each quantile has some
CHUNK = 4096  # frames at once


@dataclass(frozen=True)
class LinearNonlinear:
    """One filter per cell (R products of K frequencies and L lags) and a table of rates.

    Attributes
    ----------
    spatial : (cell, R, K), cosine coefficients.
    temporal : (cell, R, L), weights of the lags 0, 1, ..
    drives, rates : (cell, quantile), counts per bin for outputs of the filter; linear in between.
    penalty, rank : (cell,), what was chosen on validation data.
    size : rows and columns of a frame.
    """

    spatial: Floats
    temporal: Floats
    drives: Floats
    rates: Floats
    penalty: Floats
    rank: NDArray[np.integer]
    size: tuple[int, int]

    @property
    def filters(self) -> Floats:
        """Weights of contrasts (cell, lag, H, W)."""
        weights = np.einsum("nrl,nrk->nlk", self.temporal, self.spatial)
        planes = np.zeros((*weights.shape[:2], *self.size))
        planes[:, :, *_lowest(self.size)] = weights
        return idctn(planes, axes=(2, 3), norm="ortho")

    def predict(self, stimulus: NDArray) -> Floats:
        """Counts per bin (time, cell) for frames (time, H, W); grey before the first frame."""
        return self._rates(self._drive(cosines(stimulus)))

    def _drive(self, frames: Floats) -> Floats:
        """(time, K) -> (time, cell) output of the filters."""
        n_cells, rank, n_lags = self.temporal.shape
        products = (frames @ self.spatial.reshape(n_cells * rank, -1).T).reshape(-1, n_cells, rank)
        drive = np.zeros(products.shape[:2], np.float32)
        for lag in range(min(n_lags, len(drive))):
            drive[lag:] += (products[: len(drive) - lag] * self.temporal[:, :, lag]).sum(axis=2)
        return drive

    def _rates(self, drive: Floats) -> Floats:
        tables = zip(drive.T, self.drives, self.rates)
        return np.stack([np.interp(*table) for table in tables], axis=1)


def fit_linear_nonlinear(
    stimulus: NDArray, counts: ArrayLike, train: ArrayLike, validation: ArrayLike, n_lags: int = 33
) -> LinearNonlinear:
    """Fit filters on training bins; nonlinearity, penalty and rank of each cell on validation bins.

    Parameters
    ----------
    stimulus : (time, H, W), uint8 grey levels.
    counts : (time, cell).
    train, validation : (time,), (time, 1) or (time, cell), true at the bins to use: those whose
        ``n_lags`` frames belong to their trial. A cell with fewer than 200 validation bins
        predicts NaN.

    Raises
    ------
    ValueError
        A mask has no bin, or shapes do not belong together.
    """
    counts = np.asarray(counts, np.float64)
    train, validation = (valid_bins(mask, counts) for mask in (train, validation))
    for name, mask in (("train", train), ("validation", validation)):
        if not mask.any():
            raise ValueError(f"{name} marks no bin of the {len(counts)} to fit on")
    frames = cosines(stimulus)
    correlations = _correlations(frames, counts, train, n_lags)
    best, best_score = None, np.full(counts.shape[1], -np.inf)
    choices = [(penalty, rank) for penalty in PENALTIES for rank in RANKS]
    for penalty, rank in tqdm(choices, "linear-nonlinear", leave=False, delay=1):
        model = _filters(*correlations, penalty, rank, stimulus.shape[1:])
        drive = model._drive(frames)
        model = _with_rates(model, drive, counts, validation)
        score = bits_per_spike(counts, model._rates(drive), mean_rates(counts, train), validation)
        better = score > best_score
        best = model if best is None else _mixed(best, model, better)
        best_score = np.where(better, score, best_score)
    return best


def cosines(stimulus: NDArray) -> NDArray[np.float32]:
    """The lowest cosine coefficients (time, K) of the contrasts of frames (time, H, W)."""
    lowest = _lowest(stimulus.shape[1:])
    coefficients = np.empty((len(stimulus), len(lowest[0])), np.float32)
    for first in range(0, len(stimulus), CHUNK):
        chunk = (stimulus[first : first + CHUNK].astype(np.float32) - GREY) / GREY
        planes = dctn(chunk, axes=(1, 2), norm="ortho", overwrite_x=True)
        coefficients[first : first + CHUNK] = planes[:, *lowest]
    return coefficients


def _lowest(size: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the coefficients with the lowest frequencies."""
    height, width = size
    frequency = np.hypot(np.arange(height)[:, None] / height, np.arange(width) / width)
    order = np.argsort(frequency, axis=None, kind="stable")[:N_FREQUENCIES]
    return np.unravel_index(order, size)


def _correlations(
    frames: Floats, counts: Floats, train: NDArray[np.bool_], n_lags: int
) -> tuple[Floats, Floats]:
    """Covariances in training bins of frames: with the frame that many lags earlier (K, lag), and
    of the earlier frame with counts (K, lag, cell)."""
    centred = np.where(train, counts - mean_rates(counts, train), 0).astype(np.float32)
    centred /= np.maximum(train.sum(axis=0), 1)
    used = train.any(axis=1)
    of_bins = np.where(used[:, None], frames, 0)
    own = np.empty((frames.shape[1], n_lags))
    cross = np.empty((frames.shape[1], n_lags, counts.shape[1]))
    for lag in range(n_lags):
        earlier = frames[: len(frames) - lag]
        cross[:, lag] = earlier.T @ centred[lag:]
        own[:, lag] = np.einsum("tk,tk->k", earlier, of_bins[lag:])
    mean = of_bins.sum(axis=0, dtype=np.float64) / used.sum()
    return own / used.sum() - mean[:, None] ** 2, cross


def _filters(
    own: Floats, cross: Floats, penalty: float, rank: int, size: tuple[int, int]
) -> LinearNonlinear:
    """Ridge regression for each frequency, then the leading products of space and time."""
    n_lags, n_cells = cross.shape[1:]
    covariance = np.stack([toeplitz(row) for row in own])  # (K, lag, lag)
    ridge = penalty * own[:, 0].mean() * np.eye(n_lags)
    weights = np.linalg.solve(covariance + ridge, cross)  # (K, lag, cell)
    space, strength, time = np.linalg.svd(weights.transpose(2, 0, 1), full_matrices=False)
    spatial = np.zeros((n_cells, max(RANKS), len(own)), np.float32)
    temporal = np.zeros((n_cells, max(RANKS), n_lags), np.float32)
    spatial[:, :rank] = space[:, :, :rank].mT * strength[:, :rank, None]
    temporal[:, :rank] = time[:, :rank]
    tables = np.zeros((2, n_cells, len(QUANTILES) - 1))
    penalties, ranks = np.full(n_cells, penalty), np.full(n_cells, rank)
    return LinearNonlinear(spatial, temporal, *tables, penalties, ranks, tuple(size))


def _with_rates(
    model: LinearNonlinear, drive: Floats, counts: Floats, fitted: NDArray[np.bool_]
) -> LinearNonlinear:
    """Mean drive and mean count between quantiles of the drive, for each cell."""
    tables = np.full((2, *model.rates.shape), np.nan)
    for cell in np.flatnonzero(fitted.sum(axis=0) >= MIN_BINS):
        order = np.flatnonzero(fitted[:, cell])
        order = order[drive[order, cell].argsort(kind="stable")]
        mean = counts[order, cell].mean()
        parts = np.split(order, np.rint(QUANTILES[1:-1] * len(order)).astype(int))
        for place, part in enumerate(parts):
            rate = (counts[part, cell].sum() + mean) / (len(part) + 1)  # never 0
            tables[:, cell, place] = drive[part, cell].mean(), rate
    return replace(model, drives=tables[0], rates=tables[1])


def _mixed(one: LinearNonlinear, other: LinearNonlinear, use_other: Floats) -> LinearNonlinear:
    """The cells of another model where marked."""
    fields = ("spatial", "temporal", "drives", "rates", "penalty", "rank")
    chosen = {}
    for name in fields:
        a, b = getattr(one, name), getattr(other, name)
        chosen[name] = np.where(use_other.reshape(-1, *(1,) * (a.ndim - 1)), b, a)
    return replace(one, **chosen)
