"""Each check of a session file fails when what it checks is spoilt."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from utils.preprocessing import preprocess, validate_session_file
from utils.splits import TRAIN, UNUSED, VALIDATION

INTERVAL = "test block allows an interval"  # not in ten minutes


@pytest.fixture(scope="module")
def fresh(make_session, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fresh")
    return preprocess(make_session(), output=folder / "session.h5", progress=False)


@pytest.fixture
def path(fresh, tmp_path: Path) -> Path:
    return shutil.copy(fresh, tmp_path)


def failed(path: Path) -> set[str]:
    table = validate_session_file(path)
    assert list(table) == ["check", "passed", "detail"]
    return set(table.loc[~table["passed"], "check"])


def test_a_fresh_file_passes_all_but_the_length_of_its_test_block(path):
    assert failed(path) == {INTERVAL}


def test_a_long_recording_allows_an_interval(make_session, tmp_path):
    session = make_session(n_frames=16_000, n_rois=2)
    assert failed(preprocess(session, output=tmp_path / "long.h5", progress=False)) == set()


@pytest.mark.parametrize("scaling", ["zscore", "robust", "none"])
def test_other_scalers_pass_too(make_session, tmp_path, scaling):
    overrides = [f"scaling.method={scaling}", "bin_frames=2", "split.max_window_frames=32"]
    path = preprocess(make_session(), overrides=overrides, output=tmp_path / "s.h5", progress=False)
    assert failed(path) == {INTERVAL}


def test_acausal_choices_are_told(make_session, tmp_path):
    for k, choice in enumerate(("baseline.method=maximin", "activity=deconvolved")):
        path = preprocess(
            make_session(), overrides=[choice], output=tmp_path / f"{k}.h5", progress=False
        )
        assert failed(path) == {INTERVAL, "baseline knows no future"}


def scaled_on_everything(file: h5py.File) -> None:
    file["activity"][...] = file["activity"][...] * 0.9


def infinite(file: h5py.File) -> None:
    file["activity"][100, 0] = np.inf


def window_over_a_border(file: h5py.File) -> None:
    labels = file["split"][...]
    labels[(labels == UNUSED) & (np.arange(len(labels)) < 2200)] = VALIDATION
    file["split"][...] = labels


def shuffled_blocks(file: h5py.File) -> None:
    labels = file["split"][...]
    labels[:10] = VALIDATION
    file["split"][...] = labels


def valid_without_values(file: h5py.File) -> None:
    file["activity"][500] = np.nan


def repeated_id(file: h5py.File) -> None:
    file["neurons/uuid"][1] = file["neurons/uuid"][0]


def wrong_pyramid(file: h5py.File) -> None:
    file["pyramid/level_1"][100] += 1


def unscaled_wheel(file: h5py.File) -> None:
    file["covariate_matrix"][:, 0] = file["covariate_matrix"][:, 0] * 3


def clock_back(file: h5py.File) -> None:
    file["timestamps"][100] = 0


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (scaled_on_everything, "scaler is that of the training block"),
        (infinite, "no infinite value"),
        (window_over_a_border, "gaps hold a window"),
        (shuffled_blocks, "blocks follow one another"),
        (valid_without_values, "valid frames have values"),
        (repeated_id, "neurons have distinct ids"),
        (wrong_pyramid, "pyramid agrees with the activity"),
        (clock_back, "clock increases"),
        (unscaled_wheel, "covariates are finite, scaled on training"),
    ],
)
def test_each_fault_is_found_and_breaks_the_hash(path, spoil, check):
    with h5py.File(path, "r+") as file:
        spoil(file)
    assert {check, "contents have the stored hash"} <= failed(path)


def test_neuron_without_training_values(path):
    with h5py.File(path, "r+") as file:
        labels = file["split"][...]
        activity = file["activity"][...]
        activity[labels == TRAIN, 0] = np.nan
        file["activity"][...] = activity
    assert "every neuron has training values" in failed(path)
