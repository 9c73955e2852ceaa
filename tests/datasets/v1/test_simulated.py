"""Files of simulated V1 recordings: made once for each of their settings, with the truth beside."""

from __future__ import annotations

import numpy as np
import pytest

from utils.datasets.v1 import read_recording, simulated, simulated_v1, truth_path
from utils.paths import data_dir
from utils.simulation import load_v1_truth, simulate_v1

TINY = {"n_sessions": 1, "n_cells": 4, "minutes": 1.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("simulated")


@pytest.fixture(scope="module")
def paths(folder):
    return simulated_v1(folder, **TINY)


def test_files_hold_the_simulation_and_its_truth(paths):
    session = simulate_v1(**TINY).sessions[0]
    recording = read_recording(paths[0])
    for name, array in session.arrays.items():
        np.testing.assert_array_equal(getattr(recording, name), array)
    assert recording.metadata["simulated"] is True
    assert recording.metadata["name"] == "simulated_0"
    truth = load_v1_truth(truth_path(paths[0]))
    np.testing.assert_array_equal(truth.rates, session.truth.rates)


def test_the_second_call_makes_nothing(folder, paths):
    before = paths[0].stat().st_mtime_ns
    assert simulated_v1(folder, **TINY) == paths
    assert paths[0].stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["settings", "recipe", "no truth"])
def test_other_files_are_made_anew(tmp_path, monkeypatch, change):
    path = simulated_v1(tmp_path, **TINY)[0]
    counts = np.array(read_recording(path).robs)
    settings = dict(TINY)
    if change == "settings":
        settings["seed"] = 1
    elif change == "recipe":
        monkeypatch.setattr(simulated, "RECIPE", -1)
    else:
        truth_path(path).unlink()
    before = path.stat().st_mtime_ns
    simulated_v1(tmp_path, **settings)
    assert path.stat().st_mtime_ns > before
    assert truth_path(path).is_file()
    again = read_recording(path).robs
    assert np.array_equal(again, counts) == (change != "settings")


def test_by_default_files_lie_in_data_and_their_folder_names_the_settings(monkeypatch):
    monkeypatch.setattr(simulated, "v1_sessions", lambda **_: (None, iter(())))
    path = simulated_v1(n_sessions=1, n_cells=4, minutes=1.5, seed=7)[0]
    name = "simulated_1x1.5min_4cells_24families_seed7"
    assert path == data_dir() / "v1" / name / "session_0.h5"


def test_arguments_out_of_range_leave_no_file(tmp_path):
    with pytest.raises(ValueError, match="n_cells must be at least 2"):
        simulated_v1(tmp_path, n_sessions=1, n_cells=1)
    assert list(tmp_path.iterdir()) == []
