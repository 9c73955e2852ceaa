"""What a recording's W says about areas, and how far that can be believed.

A session has no truth for W. What can be asked is whether two halves of the recording agree, and
whether blocks of W, from one area to another, are more than chance. Chance has two meanings:

- other labels: the areas of the senders are dealt out anew, among all cells outside the area that
  receives (:func:`permutation_test`). Small p values say that it hears this one more, or less, than
  others; noise that the cells of an area share does that, too.
- another time: inputs are moved against messages by a minute or more (:func:`shift_test`). Small
  p values say that one area foretells the other, whatever the reason.

p values are two-sided and count the observed value as one of the draws, so none is 0. Corrected
ones compare with the largest block of each draw (Westfall and Young 1993), over all ordered pairs
of different areas: the chance of one false block or more anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from tqdm.auto import tqdm

from utils.models.gnn.couplings import solve_couplings

if TYPE_CHECKING:
    from utils.models.gnn.forecaster import GNNForecaster
    from utils.windows import WindowData

MIN_CELLS = 5  # of an area that is looked at
MIN_SHIFT = 60.0  # s

Floats = NDArray[np.float64]


class Halves(NamedTuple):
    """W of the first and of the second half of the training block."""

    first: Floats  # (neuron, neuron) [to, from]
    second: Floats

    def agreement(
        self, areas: ArrayLike | None = None, min_cells: int = MIN_CELLS
    ) -> dict[str, float]:
        """Pearson correlation over pairs of cells; with ``areas`` over pairs of areas, too."""
        off = ~np.eye(len(self.first), dtype=bool)
        found = {"weights": _correlation(self.first[off], self.second[off]), "n": int(off.sum())}
        if areas is not None:
            first, second = (between(area_blocks(each, areas, min_cells)) for each in self)
            found |= {"blocks": _correlation(first, second), "n_blocks": len(first)}
        return found


def areas_of(data: WindowData, min_cells: int = MIN_CELLS) -> NDArray[np.str_] | None:
    """Name of each cell's area (neuron,); None where no two areas have enough cells for blocks."""
    if "region" not in data.neurons:
        return None
    labels = _labels(data.neurons["region"])
    return labels if len(_named(labels, min_cells)) > 1 else None


def area_blocks(
    connectivity: ArrayLike, areas: ArrayLike, min_cells: int = MIN_CELLS
) -> pd.DataFrame:
    """Mean weight from the cells of one area to those of another, ``(to, from)``.

    The diagonal is the mean within an area, a cell's weight on itself left out.

    Parameters
    ----------
    connectivity : (neuron, neuron) [to, from].
    areas : (neuron,) name of each cell's area; cells without one ("" or NaN) do not count.
    min_cells : areas with fewer cells are left out.

    Raises
    ------
    ValueError
        Shapes that do not fit, or no two areas with enough cells.
    """
    weights, labels = _checked(connectivity, areas)
    names = _large_areas(labels, min_cells)
    return pd.DataFrame(_blocks(weights, labels, names), names, names).rename_axis(
        index="to", columns="from"
    )


def permutation_test(
    connectivity: ArrayLike,
    areas: ArrayLike,
    n_draws: int = 999,
    *,
    min_cells: int = MIN_CELLS,
    seed: int = 0,
) -> pd.DataFrame:
    """Blocks against those from cells of any area but the receiving one.

    Returns
    -------
    One row per ordered pair of areas: to, from, n_pairs of cells, strength (mean weight), z (in
    standard deviations of the draws from their mean), p, p_corrected. Within an area there is
    nothing to deal out: z and p are NaN.
    """
    weights, labels = _checked(connectivity, areas)
    names = _large_areas(labels, min_cells)
    named = np.flatnonzero(np.isin(labels, names))
    weights, labels = weights[np.ix_(named, named)], labels[named]
    heard = {name: weights[labels == name].mean(axis=0) for name in names}  # (sender,) each
    rng = np.random.default_rng(seed)

    def dealt() -> Floats:
        blocks = np.full((len(names), len(names)), np.nan)
        for row, name in enumerate(names):
            senders = np.flatnonzero(labels != name)
            means = _means(heard[name][senders], rng.permutation(labels[senders]))
            others = np.arange(len(names)) != row
            blocks[row, others] = means
        return blocks

    draws = (dealt() for _ in range(n_draws))
    return _against_draws(_blocks(weights, labels, names), draws, labels, names)


def shift_test(
    forecaster: GNNForecaster,
    data: WindowData,
    areas: ArrayLike,
    n_draws: int = 49,
    *,
    min_cells: int = MIN_CELLS,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Blocks against those of W fitted to the inputs of another time, a table alike.

    Inputs are moved on in a circle over the training windows, all together, by at least a minute
    (a tenth of the block where that is shorter). The test block has no part in it.
    """
    labels = _checked(forecaster.connectivity, areas)[1]
    names = _large_areas(labels, min_cells)
    drive, ridge = forecaster.drive(data), forecaster.chosen.ridge
    n_windows, gram = len(drive.inputs), drive.gram()
    least = min(round(MIN_SHIFT * data.frame_rate), n_windows // 10)
    rng = np.random.default_rng(seed)
    shifts = rng.integers(least, n_windows - least + 1, n_draws).tolist()

    def blocks_of(shifted: int) -> Floats:
        weights = solve_couplings(drive.shifted(shifted), ridge, gram).connectivity
        return _blocks(weights.numpy(), labels, names)

    draws = (blocks_of(s) for s in tqdm(shifts, desc="shifting", disable=not progress))
    return _against_draws(blocks_of(0), draws, labels, names)


def fit_halves(forecaster: GNNForecaster, data: WindowData) -> Halves:
    """W of each half of the training block; phi, psi and the penalty are those of the whole."""
    drive, ridge = forecaster.drive(data), forecaster.chosen.ridge
    middle = len(drive.inputs) // 2
    parts = (drive.part(slice(0, middle)), drive.part(slice(middle, None)))
    return Halves(*(solve_couplings(part, ridge).connectivity.numpy() for part in parts))


def compare_with_truth(
    blocks: pd.DataFrame, truth: Mapping[str, NDArray], tests: pd.DataFrame | None = None
) -> dict[str, float]:
    """Blocks between areas beside the coupling that a simulated session was made with.

    Parameters
    ----------
    blocks : of :func:`area_blocks`, names of areas as in the truth.
    truth : of :func:`utils.simulation.load_truth`.
    tests : of these blocks; adds auroc_z, of the absolute z (blocks of few cells are noisier), and
        how many pairs were found at a corrected p of .05.

    Returns
    -------
    n_areas, n_pairs (ordered), n_coupled pairs; auroc of the absolute block for being coupled at
    all, auroc_positive of the block for being coupled positively, pearson and spearman correlation
    of block and coupling, sign_agreement over coupled pairs; with tests auroc_z, n_found,
    found_coupled. What cannot be told is NaN.
    """
    pairs = pair_table(blocks, truth)
    found, true = pairs["strength"].to_numpy(), pairs["coupling"].to_numpy()
    coupled = true != 0
    scores = {
        "n_areas": len(blocks),
        "n_pairs": len(pairs),
        "n_coupled": int(coupled.sum()),
        "auroc": _auroc(coupled, np.abs(found)),
        "auroc_positive": _auroc(true > 0, found),
        "pearson": _correlation(found, true),
        "spearman": float(spearmanr(found, true)[0]) if _vary(found, true) else np.nan,
        "sign_agreement": float((found * true > 0)[coupled].mean()) if coupled.any() else np.nan,
    }
    if tests is not None:
        tested = pairs.merge(tests, on=["to", "from"])
        significant = (tested["p_corrected"] < 0.05).to_numpy()
        scores |= {
            "auroc_z": _auroc(coupled, tested["z"].abs().to_numpy()),
            "n_found": int(significant.sum()),
            "found_coupled": int((significant & coupled).sum()),
        }
    return scores


def pair_table(blocks: pd.DataFrame, truth: Mapping[str, NDArray]) -> pd.DataFrame:
    """One row per ordered pair of different areas: to, from, strength and true coupling."""
    names = [str(name) for name in truth["area_names"]]
    coupling = pd.DataFrame(truth["area_coupling"], names, names)
    rows = [
        {"to": to, "from": of, "strength": blocks.loc[to, of], "coupling": coupling.loc[to, of]}
        for to in blocks.index
        for of in blocks.columns
        if to != of
    ]
    return pd.DataFrame(rows, columns=["to", "from", "strength", "coupling"])


def between(blocks: pd.DataFrame) -> Floats:
    """Blocks of pairs of different areas, (pair,)."""
    return blocks.to_numpy()[~np.eye(len(blocks), dtype=bool)]


def _checked(connectivity: ArrayLike, areas: ArrayLike) -> tuple[Floats, NDArray[np.str_]]:
    weights, labels = np.asarray(connectivity, dtype=np.float64), _labels(areas)
    if weights.shape != (len(labels),) * 2:
        raise ValueError(
            f"connectivity must be (neuron, neuron) with one area per neuron; found shape "
            f"{weights.shape} and {len(labels)} areas"
        )
    return weights, labels


def _labels(areas: ArrayLike) -> NDArray[np.str_]:
    return pd.Series(areas).fillna("").astype(str).to_numpy(dtype=str)


def _named(labels: NDArray[np.str_], min_cells: int) -> list[str]:
    """Areas with enough cells."""
    names, counts = np.unique(labels[labels != ""], return_counts=True)
    return names[counts >= max(min_cells, 2)].tolist()


def _large_areas(labels: NDArray[np.str_], min_cells: int) -> list[str]:
    large = _named(labels, min_cells)
    if len(large) < 2:
        found = ", ".join(f"{name or 'no area'} ({n})" for name, n in Counter(labels).items())
        raise ValueError(
            f"blocks need two areas with at least {max(min_cells, 2)} cells each, found "
            f"{found or 'no cells'}; give a recording with areas, or a smaller min_cells"
        )
    return large


def _blocks(weights: Floats, labels: NDArray, names: list[str]) -> Floats:
    """(to, from) means; a cell's weight on itself does not count."""
    members = (labels[:, None] == np.array(names)).astype(np.float64)  # (neuron, area)
    own = np.diag(members.T @ np.diagonal(weights))
    return (members.T @ weights @ members - own) / _n_pairs(labels, names)


def _means(values: Floats, labels: NDArray[np.str_]) -> Floats:
    """Of the values of each label, in the order of the labels' names."""
    _, places = np.unique(labels, return_inverse=True)
    return np.bincount(places, values) / np.bincount(places)


def _n_pairs(labels: NDArray, names: list[str]) -> Floats:
    counts = np.array([(labels == name).sum() for name in names], dtype=np.float64)
    return np.outer(counts, counts) - np.diag(counts)


def _against_draws(
    observed: Floats, draws: Iterator[Floats], labels: NDArray, names: list[str]
) -> pd.DataFrame:
    """Both p values of each block; draws stand for chance."""
    drawn = np.stack(list(draws))
    centre, spread = drawn.mean(axis=0), drawn.std(axis=0)
    spread = np.where(spread == 0, np.inf, spread)
    z, z_drawn = (observed - centre) / spread, (drawn - centre) / spread
    n, other = 1 + len(drawn), ~np.eye(len(names), dtype=bool)
    p = (1 + (np.abs(z_drawn) >= np.abs(z)).sum(axis=0)) / n
    largest = np.abs(z_drawn[:, other]).max(axis=1)
    corrected = (1 + (largest[:, None, None] >= np.abs(z)).sum(axis=0)) / n
    p, corrected = (np.where(np.isnan(z), np.nan, each) for each in (p, corrected))
    to, of = (names_of.ravel() for names_of in np.meshgrid(names, names, indexing="ij"))
    columns = {
        "n_pairs": _n_pairs(labels, names).astype(int),
        "strength": observed,
        "z": z,
        "p": p,
        "p_corrected": corrected,
    }
    return pd.DataFrame({"to": to, "from": of} | {k: v.ravel() for k, v in columns.items()})


def _auroc(positive: NDArray[np.bool_], score: Floats) -> float:
    return float(roc_auc_score(positive, score)) if 0 < positive.sum() < len(positive) else np.nan


def _correlation(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if _vary(a, b) else np.nan


def _vary(a: Floats, b: Floats) -> bool:
    return len(a) > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
