"""How cells are wired: who is on which branch, and what that makes of an ELM neuron."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from utils.models.elm.cell_wiring import (
    OWN_TAUS,
    build_cell_neuron,
    group_sources,
    wire_cell,
)

CELLS = pd.DataFrame(
    {
        "region": ["VISp", "MOs", "VISp", "unknown", "MOs"],
        "fov": ["FOV_00", "FOV_00", "FOV_00", "FOV_01", "FOV_01"],
        "ml": [0.0, 100.0, 0.0, np.nan, 3000.0],
        "ap": [0.0, 0.0, 200.0, np.nan, 0.0],
    }
)


def wired(cell, n_covariates=2, by="auto", own=True):
    return {branch.name: branch.sources for branch in wire_cell(cell, CELLS, n_covariates, by, own)}


def test_branches_are_areas_behaviour_and_the_own_past():
    expected = {"VISp": [2], "MOs": [1, 4], "unknown": [3], "behaviour": [5, 6], "own": [0]}
    assert wired(0) == expected
    branches = wire_cell(0, CELLS, 2, "auto", own=True)
    assert [branch.tau for branch in branches if branch.name == "own"] == list(OWN_TAUS)


@pytest.mark.parametrize("cell", range(5))
@pytest.mark.parametrize("by", ["area", "distance", "fov"])
def test_a_cell_hears_all_others_once_and_itself_where_it_may(cell, by):
    without = wired(cell, n_covariates=0, by=by, own=False)
    heard = sorted(source for sources in without.values() for source in sources)
    assert heard == [other for other in range(5) if other != cell]
    assert wired(cell, n_covariates=0, by=by) == {**without, "own": [cell]}


def test_rings_of_distance():
    assert wired(0, 0, "distance", own=False) == {
        "0-150 um": [1],
        "150-300 um": [2],
        "> 600 um": [4],
        "unknown": [3],
    }


@pytest.mark.parametrize(
    ("table", "groups"),
    [
        (CELLS, ["VISp", "MOs", "VISp", "unknown", "MOs"]),
        (CELLS.assign(region="unknown"), ["FOV_00"] * 3 + ["FOV_01"] * 2),
        (pd.DataFrame({"uuid": list("abcde")}), ["population"] * 5),
    ],
)
def test_where_areas_are_unknown_fields_of_view_stand_in(table, groups):
    assert group_sources(0, table, "auto").tolist() == groups


@pytest.mark.parametrize(
    ("table", "by", "missing"),
    [
        (CELLS.drop(columns="fov"), "fov", "fov"),
        (CELLS.assign(ml=np.nan), "distance", "ml, ap"),
        (CELLS.assign(region="unknown"), "area", "region"),
    ],
)
def test_a_grouping_that_is_not_known_is_refused(table, by, missing):
    with pytest.raises(ValueError, match=f"branches by {by} need the columns {missing}.*auto"):
        group_sources(0, table, by)


def test_a_cell_that_hears_nothing_is_refused():
    alone = CELLS[:1]
    with pytest.raises(ValueError, match="cell 0 would hear nothing"):
        wire_cell(0, alone, 0, "auto", own=False)
    assert wire_cell(0, alone, 0, "auto", own=True)


def test_each_branch_of_the_neuron_sums_its_sources_alone():
    branches = wire_cell(0, CELLS, 2, "area", own=True)
    neuron = build_cell_neuron(branches, 7, num_memory=3, longest_tau=20, seed=(0, 0))
    inputs = torch.randn(2, 1, 14, generator=torch.Generator().manual_seed(0))
    found = neuron.run(inputs).branch[:, 0]
    for place, branch in enumerate(branches):
        heard = inputs[:, 0, branch.sources] + inputs[:, 0, [7 + s for s in branch.sources]]
        leak = 1 - np.exp(-1 / branch.tau)
        weight = leak * (7 / len(branch.sources)) ** 0.5
        torch.testing.assert_close(found[:, place], weight * heard.sum(dim=1))
    assert neuron.tau_b.tolist() == pytest.approx([branch.tau for branch in branches])


def test_the_seed_decides_the_weights_and_leaves_other_draws_alone():
    branches = wire_cell(0, CELLS, 0, "area", own=True)
    torch.manual_seed(3)
    first, again, other = (
        build_cell_neuron(branches, 5, 3, 20, seed).mlp.network[0].weight
        for seed in ((0, 1), (0, 1), (1, 0))
    )
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(drawn, torch.rand(1))
