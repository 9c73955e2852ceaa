"""Configurations of V1 data sets: parents and children, and faults that are named."""

from __future__ import annotations

import pytest

from utils.config import ConfigError, validate_config
from utils.datasets.v1 import V1DatasetConfig, V1Source, load_dataset_configs

PARENT = """
n_lags: 20
held_out_types: [stabilised]
behavior:
  - {key: eyepos}
sessions:
  - child.yaml
  - {name: second, path: b.h5, cell_ids: [4, 2], n_lags: 10}
"""
CHILD = "{name: first, path: a.h5, cell_ids: [0, 1], held_out_types: [], behavior: []}"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "parent.yaml").write_text(PARENT)
    (tmp_path / "child.yaml").write_text(CHILD)
    return tmp_path


def config(**values):
    required = {"name": "a", "path": "a.h5", "cell_ids": [0]}
    return validate_config(V1DatasetConfig, required | values, "test")


def test_children_come_before_their_parent(folder):
    first, second = load_dataset_configs(folder / "parent.yaml")
    assert (first.name, first.n_lags, first.cell_ids) == ("first", 20, (0, 1))
    assert (first.held_out_types, first.behavior) == ((), ())  # lists replace
    assert (second.name, second.n_lags, second.cell_ids) == ("second", 10, (4, 2))
    assert second.held_out_types == ("stabilised",)
    assert second.behavior == (V1Source(),)


def test_a_file_without_sessions_is_one_data_set(folder):
    (only,) = load_dataset_configs(folder / "child.yaml")
    assert (only.name, only.n_lags) == ("first", 33)


def test_the_simulated_recordings_are_there_by_name():
    configs = load_dataset_configs("simulated")
    assert [len(c.cell_ids) for c in configs] == [12, 16, 20]
    assert {c.behavior_dims for c in configs} == {42}
    assert {c.held_out_types for c in configs} == {("fixrsvp", "stabilised")}


def test_dims_follow_the_transforms():
    assert config().behavior_dims == 40 + 2
    assert config(behavior=[]).behavior_dims == 0
    source = {"key": "behavior", "columns": [0, 3, 5], "transforms": ["splitrelu"]}
    assert config(behavior=[source]).behavior_dims == 6
    assert config().stimulus_channels == 1
    assert config(stimulus=["pixelnorm", "unsqueeze", "splitrelu"]).stimulus_channels == 2
    assert config(stimulus=None).stimulus_channels == 0


def test_a_config_survives_json():
    given = config(stimulus=["diff", {"type": "smooth", "sd": 1.5}], types=["gratings"])
    assert V1DatasetConfig.model_validate_json(given.model_dump_json()) == given


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_lag": 3}, "unknown key 'n_lag'; did you mean n_lags"),
        ({"stimulus": ["dif"]}, "'stimulus.0': .*'dif'; known: 'pixelnorm', 'diff'"),
        ({"stimulus": ["raised_cosines"]}, "'raised_cosines' is for behaviour"),
        ({"stimulus": ["splitrelu"]}, "put unsqueeze before it"),
        ({"stimulus": ["unsqueeze", "unsqueeze"]}, "unsqueeze is listed more than once"),
        ({"behavior": [{"transforms": ["whitening"]}]}, "'whitening' is for a stimulus"),
        ({"behavior": [{"key": "pupil"}]}, "behavior.0.key' = 'pupil'.*'eyepos' or 'behavior'"),
        ({"cell_ids": [2, 2]}, "cell 2 is listed more than once"),
        ({"cell_ids": []}, "cell_ids"),
        ({"fractions": [0.5, 0.4, 0.2]}, "must sum to 1"),
        ({"fractions": [0, 0.5, 0.5]}, "train on something"),
        ({"max_missing": 40}, "max_missing' = 40"),
    ],
)
def test_faults_name_the_field_and_what_is_allowed(values, message):
    with pytest.raises(ConfigError, match=message):
        config(**values)


@pytest.mark.parametrize(
    ("parent", "message"),
    [
        ("sessions: [nowhere.yaml]", "no such file of data sets: .*nowhere.yaml"),
        ("sessions: []", "'sessions' must list"),
        ("sessions: [3]", "session 0 is 3"),
        ("sessions: [{name: a, path: a.h5}]", r"bad.yaml, session 0: 'cell_ids'"),
        (
            "n_lag: 3\nsessions: [child.yaml]",
            r"child.yaml \(parent bad.yaml\): unknown key 'n_lag'",
        ),
        ("sessions: [child.yaml, child.yaml]", "more than one session has the name 'first'"),
        ("sessions: [parent.yaml]", "'sessions' belongs in a parent"),
        ("[1, 2]", "expected keys and values"),
        ("a: [", "not readable as YAML"),
    ],
)
def test_faults_name_the_file(folder, parent, message):
    (folder / "bad.yaml").write_text(parent)
    with pytest.raises(ConfigError, match=message):
        load_dataset_configs(folder / "bad.yaml")


def test_an_unknown_name_is_met_with_those_that_there_are():
    with pytest.raises(ConfigError, match="did you mean simulated"):
        load_dataset_configs("simulatd")
