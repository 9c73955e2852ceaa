import numpy as np
import pandas as pd
import pytest

from utils.load_meso_session import MesoscopeSession
from utils.sessions.behaviour import wheel_velocity
from utils.sessions.errors import SessionError


def note(session, dataset):
    return session.availability[session.availability["dataset"] == dataset].iloc[-1]


def test_velocity_of_a_steady_turn_in_rad_per_second():
    ticks = np.arange(0, 20, 0.002)
    velocity = wheel_velocity(-1.5 * ticks, ticks, np.array([5.0, 10.0, 15.0]))
    np.testing.assert_allclose(velocity, -1.5, rtol=1e-2)


def test_velocity_never_looks_ahead():
    rng = np.random.default_rng(0)
    ticks = np.sort(rng.uniform(0, 20, 3000))
    position = np.cumsum(rng.normal(0, 0.01, 3000))
    times = np.arange(0.5, 20, 0.2)
    later = position + np.where(ticks > 10.0, rng.normal(0, 5, 3000), 0)
    before = times <= 10.0
    first, second = (wheel_velocity(p, ticks, times) for p in (position, later))
    np.testing.assert_array_equal(first[before], second[before])
    assert not np.allclose(first[~before], second[~before], equal_nan=True)


def test_velocity_is_low_passed_at_20_hz():
    ticks = np.arange(0, 20, 0.001)
    times = np.arange(5, 15, 0.0137)
    slow, fast = (
        wheel_velocity(np.sin(2 * np.pi * f * ticks) / (2 * np.pi * f), ticks, times)
        for f in (2, 60)
    )
    assert np.abs(slow).max() == pytest.approx(1, rel=0.02)
    assert np.abs(fast).max() < 1e-3


def test_velocity_outside_the_wheel_recording_is_missing():
    ticks = np.arange(10, 20, 0.01)
    velocity = wheel_velocity(ticks, ticks, np.array([5.0, 15.0, 25.0]))
    assert np.isfinite(velocity).tolist() == [False, True, False]


@pytest.mark.parametrize("n", [0, 1])
def test_velocity_of_no_movement_data(n):
    assert np.isnan(wheel_velocity(np.zeros(n), np.zeros(n), np.arange(3.0))).all()


def test_wheel_that_stands_still_between_ticks_has_no_velocity():
    ticks = np.array([0.0, 1.0, 9.0, 9.01])  # the encoder speaks only when the wheel moves
    velocity = wheel_velocity(np.array([0, 0, 0.5, 0.5]), ticks, np.array([5.0]))
    np.testing.assert_allclose(velocity, 0, atol=1e-9)


def test_trials_join_the_table_and_what_lies_beside_it(make_session):
    session = MesoscopeSession.from_folder(make_session())
    assert session.trials.shape == (6, 5)
    np.testing.assert_allclose(session.stimOff_times - session.stimOn_times, 0.4)
    assert session.intervals.shape == (6, 2)
    assert session.feedbackType is None
    np.testing.assert_allclose(session.get_aligned_wheel_velocity(np.array([8.0])), 0.5, rtol=0.02)
    assert session.aligned_wheel_velocity.shape == session.timestamps.shape


def test_trial_column_of_another_length_is_left_out_and_said(make_session):
    folder = make_session()
    np.save(folder / "alf" / "task_00" / "_ibl_trials.included.npy", np.ones(5, bool))
    session = MesoscopeSession.from_folder(folder)
    assert "included" not in session.trials
    assert note(session, "_ibl_trials.included.npy")["consequence"].endswith("5 rows for 6 trials")


def test_a_session_without_behaviour(make_session):
    folder = make_session()
    for path in (folder / "alf" / "task_00").iterdir():
        path.unlink()
    session = MesoscopeSession.from_folder(folder)
    assert session.trials.empty
    assert session.stimOn_times is session.intervals is session.wheel_position is None
    assert (
        session.aligned_wheel_velocity is session.passive is session.pupil is session.licks is None
    )
    for dataset in ("_ibl_trials.table.pqt", "_ibl_wheel.position.npy", "_sp_video.times.npy"):
        assert not note(session, dataset)["found"]
    with pytest.raises(SessionError, match="no wheel"):
        session.get_aligned_wheel_velocity()


def test_wheel_of_two_lengths_is_not_used(make_session):
    folder = make_session()
    np.save(folder / "alf" / "task_00" / "_ibl_wheel.position.npy", np.zeros(3))
    session = MesoscopeSession.from_folder(folder)
    assert session.wheel_position is None
    assert "3 positions for 1000" in note(session, "_ibl_wheel.position.npy")["consequence"]


def test_truncated_trials_table(make_session):
    path = make_session() / "alf" / "task_00" / "_ibl_trials.table.pqt"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(SessionError, match=r"trials\.table\.pqt cannot be read as parquet"):
        MesoscopeSession.from_folder(path.parents[2])


def write_camera(folder, camera="left", n_values=10, n_times=10, **columns):
    alf = folder / "alf"
    np.save(alf / f"{camera}Camera.ROIMotionEnergy.npy", np.arange(float(n_values)))
    if n_times:
        np.save(alf / f"_ibl_{camera}Camera.times.npy", np.arange(n_times) / 10)
    if columns:
        pd.DataFrame(columns).to_parquet(alf / f"_ibl_{camera}Camera.features.pqt")


def test_pupil_prefers_the_smoothed_trace(make_session):
    folder = make_session()
    values = np.arange(10.0)
    write_camera(folder, pupilDiameter_raw=values, pupilDiameter_smooth=values + 100)
    session = MesoscopeSession.from_folder(folder)
    assert session.pupil.columns.tolist() == ["time", "diameter"]
    assert session.pupil["diameter"].tolist() == (values + 100).tolist()
    assert session.motion_energy["camera"].unique().tolist() == ["left"]
    assert session.motion_energy["time"].iloc[-1] == pytest.approx(0.9)


def test_pupil_without_camera_times_cannot_be_placed(make_session):
    folder = make_session()
    write_camera(folder, n_times=0, pupilDiameter_raw=np.arange(10.0))
    session = MesoscopeSession.from_folder(folder)
    assert session.pupil is session.motion_energy is None
    assert "cannot be placed in time" in note(session, "_ibl_leftCamera.times.npy")["consequence"]


def test_pupil_table_with_its_own_times(make_session):
    folder = make_session()
    write_camera(folder, n_times=0, times=np.arange(10.0) + 3, pupilDiameter_raw=np.arange(10.0))
    assert MesoscopeSession.from_folder(folder).pupil["time"].iloc[0] == 3


def test_surplus_camera_times_are_cut_and_missing_ones_refused(make_session):
    folder = make_session()
    write_camera(folder, "left", n_values=8, n_times=10)
    write_camera(folder, "right", n_values=10, n_times=8)
    session = MesoscopeSession.from_folder(folder)
    assert session.motion_energy["camera"].tolist() == ["left"] * 8
    right = note(session, "rightCamera.ROIMotionEnergy.npy")
    assert right["found"]
    assert right["consequence"] == "not used: 10 values for 8 camera times"


def test_features_without_a_pupil(make_session):
    folder = make_session()
    write_camera(folder, nose=np.arange(10.0))
    session = MesoscopeSession.from_folder(folder)
    assert session.pupil is None
    assert "no pupil" in note(session, "_ibl_leftCamera.features.pqt")["consequence"]


def test_passive_bout_of_the_video_times(make_session):
    folder = make_session()
    (folder / "alf" / "task_01").mkdir()
    np.save(folder / "alf" / "task_01" / "_sp_video.times.npy", np.array([50.0, 51, 52]))
    session = MesoscopeSession.from_folder(folder)
    assert session.passive == (50, 52)
    assert session.passive_stimulus_times.tolist() == [50, 51, 52]


def test_passive_bout_of_the_tables(make_session):
    alf = make_session() / "alf"
    periods = {"passiveProtocol": [40.0, 70.0], "RFM": [41.0, 60.0]}
    pd.DataFrame(periods, index=["start", "stop"]).to_csv(
        alf / "_ibl_passivePeriods.intervalsTable.csv"
    )
    pd.DataFrame({"start": [61.0, 62], "stop": [61.3, 62.3]}).to_csv(
        alf / "_ibl_passiveGabor.table.csv", index=False
    )
    session = MesoscopeSession.from_folder(alf.parent)
    assert session.passive == (40, 70)
    assert session.passive_stimulus_times.tolist() == [61, 62]


def write_noise(folder, n_times=3, n_bytes=3 * 225):
    """Frame ``t`` has the level ``t`` but for one square, in row 2 and column 5."""
    frames = np.repeat(np.arange(3, dtype=np.uint8), 225).reshape(3, 15, 15)
    frames[:, 2, 5] = 255
    raw = folder / "raw_passive_data"
    raw.mkdir()
    stored = frames.swapaxes(1, 2).tobytes()  # column by column
    (raw / "_iblrig_RFMapStim.raw.bin").write_bytes(stored[:n_bytes])
    np.save(folder / "alf" / "_ibl_passiveRFM.times.npy", 50 + 0.1 * np.arange(n_times))
    return frames


def test_sparse_noise_and_its_times(make_session):
    folder = make_session()
    frames = write_noise(folder)
    session = MesoscopeSession.from_folder(folder)
    np.testing.assert_array_equal(session.noise_frames, frames)
    np.testing.assert_allclose(session.noise_times, [50, 50.1, 50.2])
    row = note(session, "_iblrig_RFMapStim.raw.bin")
    assert row["found"]
    assert row["collection"] == "raw_passive_data"


def test_session_without_sparse_noise_says_what_that_costs(make_session):
    session = MesoscopeSession.from_folder(make_session())
    assert session.noise_frames is session.noise_times is None
    row = note(session, "_iblrig_RFMapStim.raw.bin")
    assert not row["found"]
    assert "receptive fields" in row["consequence"]


def test_sparse_noise_without_times_is_not_used(make_session):
    folder = make_session()
    write_noise(folder)
    (folder / "alf" / "_ibl_passiveRFM.times.npy").unlink()
    session = MesoscopeSession.from_folder(folder)
    assert session.noise_frames is session.noise_times is None
    assert not note(session, "_ibl_passiveRFM.times.npy")["found"]


@pytest.mark.parametrize(("n_times", "n_bytes"), [(4, 675), (3, 674)])
def test_sparse_noise_that_does_not_fit_its_times_is_not_used(make_session, n_times, n_bytes):
    folder = make_session()
    write_noise(folder, n_times, n_bytes)
    session = MesoscopeSession.from_folder(folder)
    assert session.noise_frames is session.noise_times is None
    said = note(session, "_iblrig_RFMapStim.raw.bin")["consequence"]
    assert f"{n_bytes} bytes; expected {n_times} frames of 15 x 15" in said
