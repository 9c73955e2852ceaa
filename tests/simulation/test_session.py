"""The simulated session on disk: names, types, hardships, safety, and bad arguments."""

from __future__ import annotations

import csv
import hashlib
import multiprocessing
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from one.api import One

from utils.paths import one_cache_dir
from utils.simulation import DOCUMENTED_EXTRAS, PRESETS, load_truth, session, simulate_session
from utils.simulation.timeline import make_timeline

SMALLEST = {"n_fovs": 1, "n_cells": 4, "minutes": 4, "progress": False}
F4, F8, I2, I8, U4 = np.float32, np.float64, np.int16, np.int64, np.uint32


@pytest.fixture(scope="module")
def tiny(tiny_session: tuple[Path, str]) -> Path:
    root, eid = tiny_session
    return Path(One(cache_dir=root, mode="local").eid2path(eid))


@pytest.fixture(scope="module")
def three_fovs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("three")
    simulate_session(root, n_fovs=3, n_cells=8, minutes=5, progress=False)
    return _only_session(root)


def _only_session(root: Path) -> Path:
    (found,) = root.glob("*/Subjects/*/*/*")
    return found


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _written(session_path: Path) -> set[tuple[str, str]]:
    """(collection with FOV_00 for all FOVs, file name) of each data set."""
    found = set()
    for path in session_path.rglob("*"):
        relative = path.relative_to(session_path)
        if path.is_file() and relative.parts[0] != "simulation_truth":
            collection = re.sub(r"FOV_\d+", "FOV_00", relative.parent.as_posix())
            found.add(("" if collection == "." else collection, path.name))
    return found


@pytest.mark.reference
def test_every_name_occurs_in_a_real_session(reference: Path, three_fovs: Path):
    listing = reference / "mesoscope" / "SP061_2024-12-18_001_datasets.csv"
    with listing.open() as file:
        real = {(row["collection"], row["name"]) for row in csv.DictReader(file)}
    strange = {name for name in _written(three_fovs) if name not in real}
    assert {name for _, name in strange} == set(DOCUMENTED_EXTRAS)


@pytest.mark.reference
def test_text_files_are_laid_out_as_the_real_ones(reference: Path, tiny: Path):
    listing = pd.read_csv(reference / "mesoscope" / "SP061_2024-12-18_001_datasets.csv")
    sizes = listing.set_index(["collection", "name"])["file_size"]
    for name in ("mpciFrameQC.names.tsv", "mpciROITypes.names.tsv", "mpciStack.timeshift.npy"):
        expected = sizes["alf/FOV_00", name]
        assert (tiny / "alf" / "FOV_00" / name).stat().st_size == expected


@pytest.mark.parametrize(
    ("name", "dtype", "shape"),
    [
        ("mpci.ROIActivityF", F4, "TN"),
        ("mpci.ROINeuropilActivityF", F4, "TN"),
        ("mpci.ROIActivityDeconvolved", F4, "TN"),
        ("mpci.times", F8, "T"),
        ("mpci.badFrames", np.bool_, "T"),
        ("mpci.mpciFrameQC", U4, "T"),
        ("mpciROIs.mpciROITypes", I2, "N"),
        ("mpciROIs.cellClassifier", F8, "N"),
        ("mpciROIs.stackPos", I8, "N3"),
        ("mpciROIs.mlapdv_estimate", F8, "N3"),
        ("mpciROIs.brainLocationIds_ccf_2017_estimate", I8, "N"),
        ("mpciMeanImage.images", F8, "LL"),
        ("mpciMeanImage.mlapdv_estimate", F8, "LL3"),
        ("mpciMeanImage.brainLocationIds_ccf_2017_estimate", I8, "LL"),
        ("mpciStack.timeshift", F8, "L"),
    ],
)
def test_arrays_have_the_types_and_shapes_of_real_ones(tiny, name, dtype, shape):
    folder = tiny / "alf" / "FOV_00"
    n_frames = len(np.load(folder / "mpci.times.npy"))
    sizes = {"T": n_frames, "N": 24, "L": 512, "3": 3}
    array = np.load(folder / f"{name}.npy", mmap_mode="r")
    assert array.dtype == dtype
    assert array.shape == tuple(sizes[letter] for letter in shape)
    assert array.flags.c_contiguous
    assert np.isfinite(array).all()


def test_masks_are_sparse_and_lie_at_the_stated_position(tiny_session: tuple[Path, str]):
    root, eid = tiny_session
    one = One(cache_dir=root, mode="local")
    rois = one.load_object(eid, "mpciROIs", collection="alf/FOV_00")
    masks = rois["masks"]
    assert type(masks).__name__ == "GCXS"
    assert masks.shape == (24, 512, 512)
    assert masks.dtype == np.float32
    assert rois["neuropilMasks"].dtype == bool
    roi, row, column = masks.tocoo().coords
    weights = masks.tocoo().data
    for axis, pixels in ((0, row), (1, column)):
        centre = np.bincount(roi, weights * pixels) / np.bincount(roi, weights)
        np.testing.assert_allclose(centre, rois["stackPos"][:, axis], atol=0.01)
    assert (rois["stackPos"][:, 2] == 0).all()
    assert len(set(rois["uuids"])) == 24


def test_clocks_have_offsets_lost_frames_and_a_gap(three_fovs: Path):
    times = [np.load(three_fovs / f"alf/FOV_0{k}/mpci.times.npy") for k in range(3)]
    assert len({len(values) for values in times}) == 3  # unequal lengths
    for k, values in enumerate(times):
        assert values[0] - times[0][0] == pytest.approx(k * 0.0243, abs=1e-9)
        steps = np.diff(values)
        assert np.median(steps) == pytest.approx(1 / 5.07538)
        (gap,) = steps[steps > 1.5 * np.median(steps)]
        assert 60 < gap < 180
    shift = np.load(three_fovs / "alf/FOV_00/mpciStack.timeshift.npy")
    np.testing.assert_allclose(np.diff(shift), 41.6e-6)


def test_bad_frames_show_in_the_traces(three_fovs: Path):
    folder = three_fovs / "alf" / "FOV_00"
    frame_qc = np.load(folder / "mpci.mpciFrameQC.npy")
    light = np.load(folder / "mpci.ROINeuropilActivityF.npy").mean(1)
    assert set(frame_qc) == {0, 1, 3}
    np.testing.assert_array_equal(np.load(folder / "mpci.badFrames.npy"), frame_qc == 1)
    assert light[frame_qc == 1].max() < 0.2 * np.median(light)
    assert light[frame_qc == 3].min() > 1.5 * np.median(light)


def test_optional_data_sets_are_missing_where_that_is_benign(three_fovs: Path):
    lost_qc = "mpci.mpciFrameQC.npy"
    lost_positions = "mpciROIs.mlapdv_estimate.npy"
    has = lambda k, name: (three_fovs / f"alf/FOV_0{k}/{name}").exists()  # noqa: E731
    assert [has(k, lost_qc) for k in range(3)] == [True, True, False]
    assert [has(k, lost_positions) for k in range(3)] == [True, False, True]
    # without frame QC nobody could know of frames with too much signal: there are none
    light = np.load(three_fovs / "alf/FOV_02/mpci.ROINeuropilActivityF.npy").mean(1)
    assert light.max() < 1.5 * np.median(light)
    assert not (three_fovs / "alf" / "_ibl_rightCamera.times.npy").exists()


def test_constant_and_negative_cells_are_named_in_the_truth(three_fovs: Path):
    truth = load_truth(three_fovs)
    for k, (constant, negative) in enumerate([(1, 0), (0, 1), (1, 0)]):
        light = np.load(three_fovs / f"alf/FOV_0{k}/mpci.ROIActivityF.npy")
        found_constant = np.flatnonzero(np.ptp(light, axis=0) == 0)
        found_negative = np.flatnonzero(light.mean(0) < 0)
        np.testing.assert_array_equal(found_constant, truth[f"FOV_0{k}/constant"])
        np.testing.assert_array_equal(found_negative, truth[f"FOV_0{k}/negative"])
        assert (len(found_constant), len(found_negative)) == (constant, negative)


def test_trials_follow_the_conventions_of_contrast(tiny: Path):
    trials = pd.read_parquet(tiny / "alf/task_00/_ibl_trials.table.pqt")
    left, right = trials["contrastLeft"], trials["contrastRight"]
    assert (left.isna() ^ right.isna()).all()
    catch = (left == 0) | (right == 0)
    assert catch.any()
    # right choices with a stimulus on the left are correct: the wheel's convention
    correct = (trials["choice"] == 1) == left.notna()
    np.testing.assert_array_equal(correct, trials["feedbackType"] == 1)


def test_passive_noise_has_a_time_for_each_frame(tiny: Path):
    times = np.load(tiny / "alf/task_01/_ibl_passiveRFM.times.npy")
    raw = (tiny / "raw_task_data_01/_iblrig_RFMapStim.raw.bin").read_bytes()
    frames = np.frombuffer(raw, np.uint8).reshape(-1, 15, 15)
    assert len(frames) == len(times)
    assert set(np.unique(frames)) == {0, 128, 255}
    frame_times = np.load(tiny / "alf/FOV_00/mpci.times.npy")
    gap_end = frame_times[np.diff(frame_times).argmax() + 1]
    assert gap_end < times[0] < times[-1] < frame_times[-1]


def test_same_arguments_give_the_same_id_and_bytes(tmp_path: Path):
    eids = [simulate_session(tmp_path / name, **SMALLEST) for name in ("a", "b")]
    assert eids[0] == eids[1]
    first, second = (_digests(tmp_path / name / "simulation") for name in ("a", "b"))
    assert first == second
    assert len(first) > 40


def test_another_seed_gives_another_session(tmp_path: Path):
    one, other = (simulate_session(tmp_path, **SMALLEST, seed=seed) for seed in (0, 1))
    assert one != other
    traces = [np.load(path) for path in tmp_path.rglob("mpci.ROIActivityF.npy")]
    assert len(traces) == 2
    assert abs(traces[0].mean() - traces[1].mean()) > 1e-3


def test_a_complete_session_is_left_alone(tmp_path: Path):
    eid = simulate_session(tmp_path, **SMALLEST)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert simulate_session(tmp_path, **SMALLEST) == eid
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_killed_run_leaves_nothing_that_looks_complete(tmp_path, monkeypatch):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(session, "write_fov_truth", die)
        with pytest.raises(KeyboardInterrupt):
            simulate_session(tmp_path, **SMALLEST)
    assert not list(tmp_path.glob("simulation/Subjects/*/*/*"))
    assert not (tmp_path / "sessions.pqt").exists()
    simulate_session(tmp_path, **SMALLEST)
    assert [path.suffix for path in (tmp_path / ".partial").iterdir()] == [".lock"]


def test_an_outdated_session_is_replaced(tmp_path: Path):
    eid = simulate_session(tmp_path, **SMALLEST)
    settings = _only_session(tmp_path) / "simulation_truth" / "simulation.json"
    current = settings.read_text()
    settings.write_text(current.replace('"version": ', '"version": 1000'))
    datasets = pd.read_parquet(tmp_path / "datasets.pqt")
    datasets[:-1].to_parquet(tmp_path / "datasets.pqt")  # the older version had one less
    assert simulate_session(tmp_path, **SMALLEST) == eid
    assert settings.read_text() == current
    assert len(pd.read_parquet(tmp_path / "datasets.pqt")) == len(datasets)


def test_two_processes_may_simulate_the_same_session(tmp_path: Path):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        job = pool.apply_async(simulate_session, (tmp_path,), SMALLEST)
        first = simulate_session(tmp_path, **SMALLEST)
        second = job.get(timeout=120)
    assert first == second
    assert len(pd.read_parquet(tmp_path / "sessions.pqt")) == 1
    assert len(load_truth(_only_session(tmp_path))) > 20


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_fovs": 0}, ValueError, "n_fovs must be from 1 to 8"),
        ({"n_fovs": 9}, ValueError, "n_fovs must be from 1 to 8"),
        ({"n_cells": 3}, ValueError, "n_cells must be at least 4"),
        ({"n_cells": 10.5}, TypeError, "n_cells must be an integer"),
        ({"n_cells": True}, TypeError, "n_cells must be an integer"),
        ({"minutes": 2}, ValueError, "minutes must be at least 4"),
        ({"minutes": float("nan")}, ValueError, "minutes must be at least 4"),
        ({"minutes": float("inf")}, ValueError, "minutes must be at least 4"),
        ({"minutes": "40"}, TypeError, "minutes must be a number"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"size": "huge"}, ValueError, "unknown size 'huge'"),
        ({"indicator": "GCaMP8"}, ValueError, "known: GCaMP6s"),
    ],
)
def test_bad_arguments_give_one_clear_error(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        simulate_session(tmp_path / "root", **{**SMALLEST, **arguments})
    assert not (tmp_path / "root").exists()


def test_presets_hold_ten_test_blocks_of_a_minute():
    for preset in PRESETS.values():
        timeline = make_timeline(preset["minutes"], None, preset["seed"])
        start, stop = timeline.task
        assert 0.2 * (stop - start) >= 620
        end = timeline.passive[1] - start
        assert end == pytest.approx(60 * preset["minutes"], abs=1)


def test_presets_are_simulated_in_the_cache_on_first_use(monkeypatch):
    monkeypatch.setitem(session.PRESETS, "sample", SMALLEST)
    eid = session.preset_session("sample")
    assert One(cache_dir=one_cache_dir(), mode="local").eid2path(eid).is_dir()
    with pytest.raises(ValueError, match="did you mean sample"):
        session.preset_session("sampel")


def test_full_size_is_that_of_real_sessions():
    settings = session._checked_settings(2, 150, 40, 0, "full", "GCaMP6s")
    timeline = make_timeline(settings.minutes, settings.n_frames, settings.seed)
    assert settings.n_fovs == 8
    assert settings.n_cells + settings.n_others == 3500
    assert len(timeline.frame_steps) == 20_000
