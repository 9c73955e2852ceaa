"""Blocks between areas, what chance makes of them, halves, and the truth of a simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from utils.evaluation.connectivity_session import (
    Halves,
    area_blocks,
    areas_of,
    between,
    compare_with_truth,
    fit_halves,
    pair_table,
    permutation_test,
    shift_test,
)
from utils.models.forecasting import build_forecaster
from utils.windows import window_data

torch.set_num_threads(1)

AREAS = np.repeat(["VISp", "MOs", "RSPd"], 8)


def weights(strength: float = 1.0, seed: int = 0) -> np.ndarray:
    """VISp drives MOs; everything else is noise."""
    found = np.random.default_rng(seed).normal(0, 1, (24, 24))
    found[8:16, :8] += strength
    np.fill_diagonal(found, 0)
    return found


def session(seed: int = 0, coupled: bool = True):
    """Two areas whose cells follow one slow rate each; that of VISp drives that of MOs."""
    rng = np.random.default_rng(seed)
    rates = np.zeros((4000, 3))
    for t in range(1, len(rates)):
        drive = np.array([0.0, 0.15 * coupled * rates[t - 1, 0], 0.0])
        rates[t] = 0.93 * rates[t - 1] + drive + 0.4 * rng.standard_normal(3)
    activity = np.repeat(rates, 6, axis=1) + 1.5 * rng.standard_normal((4000, 18))
    neurons = pd.DataFrame({"region": np.repeat(["VISp", "MOs", "RSPd"], 6)})
    neurons.insert(0, "uuid", [f"cell{i}" for i in range(18)])
    return window_data(activity.astype(np.float32), np.arange(4000) / 5, 24, 8, neurons=neurons)


@pytest.fixture(scope="module")
def data():
    return session()


@pytest.fixture(scope="module")
def fitted(data):
    return build_forecaster("gnn", indicator=[0.0], bend=[1.0]).fit(data)


def test_blocks_are_means_over_pairs_of_different_cells():
    found = weights()
    np.fill_diagonal(found, 100.0)  # must not count
    blocks = area_blocks(found, AREAS)
    assert blocks.loc["MOs", "VISp"] == pytest.approx(found[8:16, :8].mean())
    inside = found[:8, :8][~np.eye(8, dtype=bool)]
    assert blocks.loc["VISp", "VISp"] == pytest.approx(inside.mean())
    assert blocks.index.name == "to"
    assert blocks.columns.name == "from"
    assert len(between(blocks)) == 6


def test_cells_without_an_area_and_small_areas_are_left_out():
    areas = AREAS.astype(object)
    areas[0], areas[1], areas[2] = "", np.nan, None
    areas[16:20] = "SSp"
    blocks = area_blocks(weights(), areas, min_cells=5)
    assert blocks.index.tolist() == ["MOs", "VISp"]
    assert blocks.loc["MOs", "VISp"] == pytest.approx(weights()[8:16, 3:8].mean())


def test_areas_of_a_recording(data):
    assert areas_of(data).tolist() == data.neurons["region"].tolist()
    assert areas_of(data, min_cells=7) is None
    nameless = window_data(np.random.default_rng(0).random((500, 3)), np.arange(500) / 5, 8, 4)
    assert areas_of(nameless) is None


@pytest.mark.parametrize(
    ("areas", "message"), [(AREAS[:5], "one area per neuron"), ([""] * 24, "no area .24.")]
)
def test_says_what_blocks_need(areas, message):
    with pytest.raises(ValueError, match=message):
        area_blocks(weights(), areas)


def test_other_labels_find_the_block_that_is_there():
    table = permutation_test(weights(1.0), AREAS, 199).set_index(["to", "from"])
    assert table.loc[("MOs", "VISp"), "p_corrected"] == pytest.approx(1 / 200)
    assert table.loc[("MOs", "RSPd"), "z"] < 0  # hears less than the other
    assert table.drop(index=["MOs"])["p_corrected"].min() > 4 / 200
    assert table.loc[[("MOs", "MOs"), ("VISp", "VISp")], "p"].isna().all()
    assert table.loc[("MOs", "VISp"), "n_pairs"] == 64
    assert table.loc[("MOs", "MOs"), "n_pairs"] == 56
    assert table.loc[("MOs", "VISp"), "strength"] > 0.5


def test_weights_within_areas_do_not_touch_the_test():
    found = weights()
    for rows in (slice(0, 8), slice(8, 16), slice(16, 24)):
        found[rows, rows] += 50
    pd.testing.assert_series_equal(
        permutation_test(found, AREAS, 49)["p"], permutation_test(weights(), AREAS, 49)["p"]
    )


def test_p_values_hold_where_there_is_nothing():
    """Of 40 matrices of noise, blocks at p < .05 are few, and corrected ones fewer."""
    tables = [permutation_test(weights(0, seed), AREAS, 99, seed=seed) for seed in range(40)]
    alone = np.concatenate([table["p"].dropna() for table in tables])
    assert 0.01 < (alone < 0.05).mean() < 0.10
    assert np.mean([(table["p_corrected"] < 0.05).any() for table in tables]) < 0.2
    assert all((table["p_corrected"] >= table["p"]).sum() == 6 for table in tables)
    assert alone.min() >= 1 / 100


def test_constant_weights_are_no_news():
    table = permutation_test(np.ones((24, 24)), AREAS, 19)
    assert (table["z"].dropna() == 0).all()
    assert (table["p"].dropna() == 1).all()


def test_same_seed_same_table():
    first, again, other = (permutation_test(weights(), AREAS, 49, seed=seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_another_time_finds_the_drive_and_its_direction(fitted, data):
    table = shift_test(fitted, data, areas_of(data), 39, progress=False)
    table = table.set_index(["to", "from"])
    assert table.loc[("MOs", "VISp"), "p_corrected"] == pytest.approx(1 / 40)
    assert table.loc[("MOs", "VISp"), "z"] > 2 * abs(table.loc[("VISp", "MOs"), "z"])
    np.testing.assert_allclose(
        table["strength"].unstack().loc["MOs", "VISp"],
        area_blocks(fitted.connectivity, areas_of(data)).loc["MOs", "VISp"],
        rtol=1e-4,
    )


def test_another_time_finds_nothing_between_areas_that_are_not_coupled():
    data = session(seed=1, coupled=False)
    fitted = build_forecaster("gnn", indicator=[0.0], bend=[1.0]).fit(data)
    table = shift_test(fitted, data, areas_of(data), 39, progress=False)
    assert (table[table["to"] != table["from"]]["p_corrected"] > 0.05).all()


def test_halves_agree_on_blocks_more_than_on_weights(fitted, data):
    halves = fit_halves(fitted, data)
    agreement = halves.agreement(areas_of(data))
    assert agreement["n"] == 18 * 17
    assert agreement["n_blocks"] == 6
    assert agreement["blocks"] > max(agreement["weights"], 0.5)
    assert "blocks" not in halves.agreement()
    assert np.isnan(Halves(np.zeros((2, 2)), np.zeros((2, 2))).agreement()["weights"])


def truth(**coupling: float) -> dict[str, np.ndarray]:
    names = np.array(["MOs", "RSPd", "VISp", "VISl"])
    table = pd.DataFrame(np.zeros((4, 4)), names, names)
    for pair, value in coupling.items():
        table.loc[tuple(pair.split("_"))] = value
    return {"area_names": names, "area_coupling": table.to_numpy()}


def test_compares_with_the_truth():
    blocks = area_blocks(weights(2.0), AREAS)
    known = truth(MOs_VISp=0.7, VISl_MOs=0.5)  # VISl was not recorded
    scores = compare_with_truth(blocks, known, permutation_test(weights(2.0), AREAS, 99))
    assert scores["n_pairs"] == 6
    assert scores["n_coupled"] == 1
    assert scores["auroc"] == 1
    assert scores["pearson"] > 0.8
    assert scores["sign_agreement"] == 1
    assert scores["n_found"] >= scores["found_coupled"] == 1
    assert scores["auroc_z"] >= 0.8
    reverse = compare_with_truth(blocks, truth(VISp_MOs=-0.7))
    assert reverse["auroc"] < 1
    assert "n_found" not in reverse
    pairs = pair_table(blocks, known).set_index(["to", "from"])
    assert pairs.loc[("MOs", "VISp"), "coupling"] == 0.7


def test_a_session_without_coupling_has_no_auroc():
    scores = compare_with_truth(area_blocks(weights(), AREAS), truth())
    assert np.isnan([scores["auroc"], scores["pearson"], scores["sign_agreement"]]).all()
