"""preprocess: the file holds what it says, and nothing in it knows the future."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from utils.config import ConfigError
from utils.load_meso_session import MesoscopeSession
from utils.preprocessing import PreprocessConfig, default_output, preprocess
from utils.sessions.errors import SessionError
from utils.sessions.hdf5 import SessionFile, verify
from utils.splits import PASSIVE, TEST, TRAIN, UNUSED, VALIDATION


def run(session, tmp_path: Path, overrides=(), config=None, name="session.h5") -> SessionFile:
    path = preprocess(session, config, overrides, output=tmp_path / name, progress=False)
    return SessionFile(path)


def test_simulated_session_from_disk_to_file(tiny_session, tmp_path):
    from one.api import One

    root, eid = tiny_session
    session = MesoscopeSession.from_eid(One(cache_dir=root, mode="local"), eid)
    file = run(session, tmp_path)
    assert file.eid == eid
    assert file.simulated
    assert verify(file.path)
    assert file.unit == "dF/F, scaled by the 0-99.5 percentile"
    assert len(file.neurons) == file.n_neurons == file.neuron_mask.sum()
    assert len(file.neuron_mask) == session.n_total_neurons
    np.testing.assert_array_equal(file.timestamps, session.timestamps)
    assert {TRAIN, VALIDATION, TEST, PASSIVE} <= set(file.split)
    assert file.timestamps[file.split == PASSIVE][0] >= session.passive[0]
    assert set(file.split[file.timestamps >= session.passive[0]]) <= {PASSIVE, UNUSED}
    assert len(file.trials) == len(session.trials)
    reopened = MesoscopeSession.from_preprocessed(file.path)
    np.testing.assert_array_equal(reopened.get_preprocessed_data()[0], file.activity)
    assert preprocess(reopened) == preprocess(file.path) == file.path
    assert preprocess(reopened, "default") == file.path
    with pytest.raises(SessionError, match=r"preprocessed already .*with other settings"):
        preprocess(reopened, "zscore")
    with pytest.raises(SessionError, match="preprocessed already"):
        preprocess(reopened, output=tmp_path / "other.h5")
    reopened.save_activity_matrix(tmp_path / "v1.h5")
    with pytest.raises(SessionError, match="without a record of its settings"):
        preprocess(tmp_path / "v1.h5")


def test_a_file_of_other_settings_is_used_as_it_is_unless_asked_otherwise(make_session, tmp_path):
    file = run(make_session(), tmp_path, ["scaling.method=zscore"])
    assert preprocess(file.path) == preprocess(file.path, "zscore") == file.path


def test_training_block_is_scaled_to_zero_and_one(make_session, tmp_path):
    file = run(make_session(), tmp_path)
    train = file.activity[file.split == TRAIN]
    np.testing.assert_allclose(np.nanmin(train, axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.nanpercentile(train, 99.5, axis=0), 1, atol=1e-4)


@pytest.mark.parametrize("option", ["default", "zscore", "deconvolved", "percentile_filter"])
@pytest.mark.parametrize("extra", [[], ["scaling.method=robust", "cells.rule=percentiles"]])
def test_no_training_statistic_sees_later_frames(make_session, tmp_path, option, extra):
    """Everything after the training block is replaced; nothing fitted there may change."""
    if option == "deconvolved":
        extra = [text for text in extra if "robust" not in text]  # sparse: no quartile range
    plain, spoilt = make_session(), make_session()
    border = 0.7 * 600 + 1  # seconds; one frame and more after the end of training
    rng = np.random.default_rng(5)
    for fov in spoilt.fovs:
        later = fov.timestamps >= border
        shape = (later.sum(), fov.n_rois)
        fov.roi_activity[later] *= 7
        fov.neuropil_activity[later] = rng.uniform(0, 9000, shape)
        fov.deconvolved_activity[later] = rng.uniform(0, 50, shape)
    spoilt.wheel_position = np.where(
        spoilt.wheel_timestamps < border, spoilt.wheel_position, rng.uniform(-9, 9, 2000)
    )
    first = run(plain, tmp_path, extra, option, "a.h5")
    second = run(spoilt, tmp_path, extra, option, "b.h5")

    train = first.split == TRAIN
    np.testing.assert_array_equal(first.split, second.split)
    np.testing.assert_array_equal(first.neuron_mask, second.neuron_mask)
    for key in ("offset", "scale"):
        np.testing.assert_array_equal(first.scaler[key], second.scaler[key])
    pd.testing.assert_frame_equal(first.quality, second.quality)
    np.testing.assert_array_equal(first.activity[train], second.activity[train])
    np.testing.assert_array_equal(first.covariates[train], second.covariates[train])
    assert not np.allclose(first.activity[~train], second.activity[~train], equal_nan=True)


def test_the_acausal_baseline_would_fail_that_test_and_says_so(make_session, tmp_path):
    file = run(make_session(), tmp_path, ["baseline.method=maximin"])
    assert file.provenance["baseline"] == {"method": "maximin", "causal": False}
    assert not file.metadata["causal"]


@pytest.mark.parametrize(("method", "causal"), [("previous", True), ("linear", False)])
def test_only_resampling_without_the_next_sample_is_called_causal(
    make_session, tmp_path, method, causal
):
    """Linear resampling looks one frame ahead where FOVs are apart in time, and says so."""
    plain, spoilt = make_session(), make_session()
    now = plain.fovs[0].timestamps[2700]
    for fov in spoilt.fovs:
        later = fov.timestamps[:, None] + fov.roi_time_offsets > now
        fov.roi_activity[later] *= 3
    a, b = (
        run(session, tmp_path, [f"resampling={method}"], name=f"{i}.h5")
        for i, session in enumerate((plain, spoilt))
    )
    assert a.metadata["causal"] == causal
    assert np.array_equal(a.activity[:2701], b.activity[:2701], equal_nan=True) == causal


def test_activity_at_a_frame_ignores_what_comes_later(make_session, tmp_path):
    """Beyond one frame of interpolation, with smoothing and all: inside the test block too."""
    plain, spoilt = make_session(), make_session()
    for fov in spoilt.fovs:
        fov.roi_activity[2700:] *= 3
    a, b = (
        run(s, tmp_path, ["smoothing_s=0.5"], name=f"{i}.h5") for i, s in enumerate((plain, spoilt))
    )
    before = a.timestamps < plain.fovs[0].timestamps[2700] - 1 / 5.0
    np.testing.assert_array_equal(a.activity[before], b.activity[before])
    assert not np.array_equal(a.activity[2700:], b.activity[2700:])


def test_unequal_fovs_and_excluded_frames_are_missing_not_dropped(make_session, tmp_path):
    session = make_session(lengths=[3000, 2900])
    session.fovs[0].bad_frames[1000:1004] = True
    session.fovs[0].frame_qc[1500] = 3
    session.fovs[0].frame_qc_names = {3: "high signal"}
    file = run(session, tmp_path)
    assert file.n_frames == 3000
    first, second = (file.neurons["fov"] == name for name in ("FOV_00", "FOV_01"))
    assert np.isnan(file.activity[2901:, second]).all()
    assert np.isfinite(file.activity[2901:2999, first]).all()
    assert np.isnan(file.activity[1000:1004, first]).all()
    assert np.isfinite(file.activity[1000:1004, second]).all()
    reasons = file.excluded.set_index(["item", "reason"])["count"]
    assert reasons["FOV_00", "bad frame"] == 4
    assert reasons["FOV_00", "frame QC: high signal (not already bad)"] == 1
    assert reasons["FOV_01", "ends before the session's clock"] == 100


def test_gap_stays_a_gap(make_session, tmp_path):
    session = make_session()
    for fov in session.fovs:
        fov.timestamps[2700:] += 90
    session.passive = (session.fovs[0].timestamps[2700] - 1, np.inf)
    file = run(session, tmp_path)
    assert np.diff(file.timestamps).max() > 90
    assert set(file.split[2700:]) == {UNUSED, PASSIVE}
    assert PASSIVE not in file.split[:2700]
    assert np.isnan(file.activity[2700, 1:]).all()  # no sample before it on this side of the gap


def test_blocks_are_apart_by_a_window(make_session, tmp_path):
    cases = (([], 64), (["split.max_window_frames=20"], 20), (["split.gap_s=8"], 40))
    for overrides, gap in cases:
        file = run(make_session(), tmp_path, overrides, name=f"gap{gap}.h5")
        between = (
            np.flatnonzero(file.split == VALIDATION)[0] - np.flatnonzero(file.split == TRAIN)[-1]
        )
        assert between - 1 == gap


def test_split_by_trial_block_moves_the_border_to_it(make_session, tmp_path):
    session = make_session()
    file = run(session, tmp_path, ["split.by=trial_block", "split.fractions=[0.6,0.2,0.2]"])
    change = session.trials["intervals_0"][13]
    last = file.timestamps[file.split == TRAIN][-1]
    assert last < change <= last + 0.21
    session.trials = session.trials.drop(columns="probabilityLeft")
    with pytest.raises(SessionError, match=r"probabilityLeft.*use split.by=time"):
        run(session, tmp_path, ["split.by=trial_block"], name="other.h5")


def test_binning_averages_frames_and_the_clock(make_session, tmp_path):
    overrides = ["scaling.method=none", "split.max_window_frames=20"]
    fine = run(make_session(), tmp_path, overrides)
    coarse = run(make_session(), tmp_path, [*overrides, "bin_frames=3"], name="b.h5")
    assert coarse.n_frames == 1000
    assert coarse.frame_rate == pytest.approx(5 / 3)
    np.testing.assert_allclose(coarse.timestamps, fine.timestamps.reshape(-1, 3).mean(axis=1))
    expected = fine.activity[300:303].mean(axis=0)
    np.testing.assert_allclose(coarse.activity[100], expected, rtol=1e-5)
    assert "mean of 3 frames" in coarse.unit


def test_odd_cells_are_excluded_with_the_reason(make_session, tmp_path):
    session = make_session()
    first = session.fovs[0]
    first.roi_activity[:, 0] = 800
    first.neuropil_activity[:, 0] = 1000
    first.roi_activity[:, 1] -= 2000
    session.neurons.loc[2, "cell_probability"] = 0.2
    file = run(session, tmp_path, ["cells.min_cell_probability=0.5"])
    cells = file.excluded[file.excluded["kind"] == "neuron"]
    assert dict(zip(cells["item"], cells["reason"])) == {
        "0-0": "constant in the training block",
        "0-1": "fluorescence mostly negative",
        "0-2": "low cell probability",
    }
    assert file.n_neurons == 9
    assert file.neuron_mask.tolist() == [False] * 3 + [True] * 9
    assert file.neurons["uuid"].tolist()[0] == "0-3"
    assert np.abs(file.activity[np.isfinite(file.activity)]).max() < 20


def test_a_file_of_an_older_recipe_is_made_anew(make_session, tmp_path, monkeypatch):
    monkeypatch.setattr("utils.preprocessing.provenance.RECIPE", 1)
    assert run(make_session(), tmp_path).provenance["recipe"] == 1
    monkeypatch.undo()
    assert run(make_session(), tmp_path).provenance["recipe"] > 1


def test_same_input_same_file_untouched_and_other_config_other_file(make_session):
    session = make_session()
    path = preprocess(session, progress=False)
    assert path == default_output("fake", PreprocessConfig())
    assert path.name == "session_fake.h5"
    before = path.stat().st_mtime_ns
    assert preprocess(session, progress=False) == path
    assert path.stat().st_mtime_ns == before
    other = preprocess(session, overrides=["scaling.method=zscore"], progress=False)
    assert other.name.startswith("session_fake_")
    assert preprocess(make_session(seed=1), progress=False) == path  # other traces, same eid
    assert path.stat().st_mtime_ns > before


def test_truncated_output_is_made_anew(make_session, tmp_path, caplog):
    path = run(make_session(), tmp_path).path
    whole = SessionFile(path).content_hash
    path.write_bytes(path.read_bytes()[:5000])
    assert run(make_session(), tmp_path).content_hash == whole
    assert "made anew" in caplog.text


def test_deconvolved_activity_is_stored_without_a_baseline(make_session, tmp_path):
    file = run(
        make_session(), tmp_path, ["scaling.method=none", "resampling=previous"], "deconvolved"
    )
    assert set(np.unique(file.activity[np.isfinite(file.activity)])) == {0.0, 1.0}
    assert "baseline" not in file.quality


def test_dff_of_deconvolved_traces_is_refused(make_session, tmp_path):
    session = make_session()
    for fov in session.fovs:
        fov.raw_activity = False
    with pytest.raises(SessionError, match=r"FOV_00: dF/F needs fluorescence.*deconvolved"):
        run(session, tmp_path)
    assert run(session, tmp_path, config="deconvolved").n_neurons == 12


def test_missing_deconvolved_activity_and_missing_neuropil(make_session, tmp_path):
    session = make_session()
    session.fovs[0].deconvolved_activity = None
    session.fovs[0].neuropil_activity = None
    with pytest.raises(SessionError, match="FOV_00: no deconvolved activity"):
        run(session, tmp_path, config="deconvolved")
    assert run(session, tmp_path).n_neurons == 12
    assert list(tmp_path.glob("*.h5")) == [tmp_path / "session.h5"]


def test_a_fov_without_good_frames_is_left_out_with_the_reason(make_session, tmp_path):
    session = make_session()
    session.fovs[0].bad_frames[:] = True
    file = run(session, tmp_path)
    assert set(file.neurons["fov"]) == {"FOV_01"}
    assert file.frame_mask.mean() > 0.9
    reasons = file.excluded.query("kind == 'neuron'")["reason"]
    assert reasons.tolist() == ["too few values in training"] * 6


def test_all_frames_bad_too_short_and_no_cells_are_clear_errors(make_session, tmp_path):
    bad = make_session()
    for fov in bad.fovs:
        fov.bad_frames[:] = True
    with pytest.raises(SessionError, match="session fake: none of 3000 frames"):
        run(bad, tmp_path)

    with pytest.raises(SessionError, match="session fake: recording too short"):
        run(make_session(n_frames=300), tmp_path)

    constant = make_session()
    for fov in constant.fovs:
        fov.roi_activity[:] = 1000
        fov.neuropil_activity[:] = 1000
    with pytest.raises(SessionError, match=r"no cells after filtering \(12 constant"):
        run(constant, tmp_path)

    empty = make_session()
    for fov in empty.fovs:
        fov.roi_types = np.zeros(fov.n_rois, int)
    with pytest.raises(SessionError, match="the session has no cell"):
        run(empty, tmp_path)
    with pytest.raises(SessionError, match="no field of view"):
        run(make_session(fovs=[], neurons=pd.DataFrame()), tmp_path)
    assert not list(tmp_path.iterdir())


def test_wrong_config_is_named_before_anything_is_read(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown key 'scaling\.methd'"):
        preprocess(None, config={"scaling": {"methd": "zscore"}})
    with pytest.raises(ConfigError, match="no config 'preprocessing/fast'"):
        preprocess(None, config="fast")
    with pytest.raises(ValueError, match="overrides change a named option"):
        preprocess(None, config={}, overrides=["bin_frames=2"])


KILLED = """
import sys, time
sys.path.insert(0, {folder!r})
import numpy as np
from conftest import build_session
from utils.preprocessing import pipeline
from utils.preprocessing.scaling import ScaledRows

read = ScaledRows.__getitem__
def slow(self, rows):
    if rows.start:
        print("half way", flush=True)
        time.sleep(60)
    return read(self, rows)
ScaledRows.__getitem__ = slow
pipeline.preprocess(build_session(), output={output!r}, progress=False)
"""


def test_a_killed_preprocess_leaves_no_broken_file(make_session, tmp_path):
    output = tmp_path / "session_fake.h5"
    code = KILLED.format(folder=str(Path(__file__).parent), output=str(output))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "half way\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not output.exists()
    assert not list(tmp_path.glob("session_*"))  # what is left is hidden

    preprocess(make_session(), output=output, progress=False)
    assert [item.name for item in tmp_path.iterdir()] == [output.name]
    assert verify(output)


def test_provenance_tells_how_the_file_was_made(make_session, tmp_path):
    provenance = run(make_session(), tmp_path, ["bin_frames=2"]).provenance
    assert provenance["config"]["bin_frames"] == 2
    assert set(provenance) >= {"config_hash", "input_hash", "versions", "created", "seconds"}
    assert str(Path.home()) not in str(provenance)


def test_time_pyramid_is_in_the_file(make_session, tmp_path):
    file = run(make_session(), tmp_path)
    assert [len(level) for level in file.pyramid] == [3000, 750]
    with h5py.File(file.path) as opened:
        assert "pyramid/level_1" in opened
