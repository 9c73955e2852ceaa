"""A mesoscope session as a V1 recording."""

import numpy as np
import pytest

from utils.config import ConfigError
from utils.datasets.v1 import V1DataModule, as_recording, prepare_dataset
from utils.datasets.v1.mesoscope import (
    describe_session,
    in_training_units,
    mesoscope_recording,
    stretches,
)
from utils.load_meso_session import MesoscopeSession
from utils.sessions.lookup import local_one
from utils.splits import TRAIN


@pytest.fixture(scope="module")
def session(tiny_session):
    root, eid = tiny_session
    return MesoscopeSession.from_eid(local_one(root), eid)


@pytest.fixture(scope="module")
def recording(session):
    return mesoscope_recording(session)


def without(session, **changes):
    return session.model_copy(update=changes)


def of_type(recording, name):
    return recording.stim_type == recording.metadata["stim_types"].index(name)


def test_visual_cells_with_frames_movements_and_responses(session, recording):
    about = recording.metadata
    regions = session.neurons["region"].iloc[about["cell_ids"]].tolist()
    assert about["areas"] == regions
    assert all(region.startswith("VIS") for region in regions)
    assert about["rate_hz"] == pytest.approx(session.frame_rate)
    assert about["simulated"]
    assert recording.stim.shape == (recording.n_bins, 30, 30)
    assert recording.stim.dtype == np.uint8
    assert recording.behavior.shape == (recording.n_bins, len(about["movements"]))
    assert {"wheel_speed", "pupil_diameter", "lick_rate"} <= set(about["movements"])
    np.testing.assert_allclose(recording.t_bins, session.timestamps - 0.5 / session.frame_rate)


def test_a_bin_ends_at_its_frame(session, recording):
    """Frames of noise that lie in one bin alone are seen as they were shown."""
    interval = session.clock.frame_interval
    seen = 0
    for end, frame in zip(session.timestamps, recording.stim):
        last = np.searchsorted(session.noise_times, end) - 1
        if last < 0 or end - interval <= session.noise_times[last] or end > session.passive[1] - 1:
            continue
        squares = np.where(session.noise_frames[last] == 128, 127, session.noise_frames[last])
        np.testing.assert_allclose(frame[::2, ::2], squares, atol=1)
        seen += 1
    assert seen > 30


def test_responses_are_those_of_the_activity_matrix(session, recording):
    activity, _ = session.get_dff_activity_matrix()
    dff = mesoscope_recording(session, response="dff")
    columns = dff.metadata["cell_ids"]
    np.testing.assert_array_equal(dff.valid, np.isfinite(activity[:, columns]))
    np.testing.assert_allclose(dff.robs, np.nan_to_num(activity[:, columns]), rtol=1e-6)
    assert recording.robs.min() >= 0  # deconvolved
    assert not recording.valid.all()


def test_stretches_have_one_type_no_gap_and_an_even_length(recording):
    assert set(recording.trial_types) == {"grey", "task", "noise"}
    lengths = np.diff(recording.trials)[:, 0] / recording.metadata["rate_hz"]
    assert np.median(lengths) == pytest.approx(30, rel=0.2)
    assert lengths.max() < 46
    assert np.diff(recording.t_bins).max() > 30  # the gap between the bouts


def test_stretches_by_hand():
    kind = np.array([0, 0, 1, 1, 1, 1, 1, 1])
    times = np.array([0, 1, 2, 3, 4, 5, 9, 10.0])
    assert stretches(kind, times, 1.0, 2.0).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert stretches(kind, times, 1.0, 100.0).tolist() == [0, 0, 1, 1, 1, 1, 2, 2]


def test_areas_can_be_chosen(session, recording):
    area = recording.metadata["areas"][0]
    chosen = mesoscope_recording(session, [area])
    assert set(chosen.metadata["areas"]) == {area}
    same = np.array(recording.metadata["areas"]) == area
    np.testing.assert_array_equal(chosen.robs, recording.robs[:, same])


def test_areas_that_a_session_has_not(session):
    with pytest.raises(ConfigError, match=r"no area 'VISpp'.*VISp"):
        mesoscope_recording(session, ["VISpp"])
    blind = without(session)
    vars(blind)["neurons"] = session.neurons.assign(region="MOs")
    with pytest.raises(ConfigError, match="no cells in visual areas; areas: MOs"):
        mesoscope_recording(blind)


def test_what_is_missing_is_listed(session):
    poor = without(
        session, noise_frames=None, noise_times=None, pupil=None, wheel_position=None, licks=None
    )
    found = mesoscope_recording(poor)
    said = " ".join(found.metadata["missing"])
    for part in ("no sparse noise", "no wheel", "pupil_diameter was not", "lick_rate was not"):
        assert part in said
    assert found.metadata["movements"] == ["motion_energy_left"]
    assert set(found.trial_types) == {"grey", "task"}


def test_the_wheel_rests_where_it_was_not_read(session, recording):
    speed = recording.behavior[:, recording.metadata["movements"].index("wheel_speed")]
    assert speed[of_type(recording, "task")].max() > 1
    assert not speed[of_type(recording, "noise")].any()


def test_cells_that_never_change_are_left_out_and_listed(session, recording):
    left_out = [line for line in recording.metadata["missing"] if "never change" in line]
    assert left_out  # the simulation spoils a cell
    assert recording.robs.std(axis=0).min() > 0


def test_units_come_from_training_alone(recording):
    config = describe_session(recording, n_lags=8)
    scaled = in_training_units(recording, config)
    data = prepare_dataset(config, scaled)
    train = np.concatenate([np.arange(*trial) for trial in data.trials(TRAIN)])
    known = np.where(scaled.valid, scaled.robs, np.nan)[train]
    np.testing.assert_allclose(np.sqrt(np.nanmean(known**2, axis=0)), 1, rtol=1e-4)
    others = np.ones(recording.n_bins, bool)
    others[train] = False
    changed = {**vars(recording), **recording.metadata, "robs": recording.robs.copy()}
    changed["robs"][others] *= 100
    changed = in_training_units(
        as_recording({k: v for k, v in changed.items() if k != "metadata"}), config
    )
    assert changed.metadata["unit"] == scaled.metadata["unit"]


def test_a_data_module_takes_it(recording):
    config = describe_session(recording, n_lags=8)
    assert config.behavior_dims == len(recording.metadata["movements"])
    data = V1DataModule([config], {config.name: recording}, sequence_bins=50)
    batch = next(iter(data.train_dataloader()))[config.name]
    assert batch.stimulus.shape[1:] == (57, 30, 30)
    assert batch.mask.any()


def test_without_deconvolved_activity_dff_is_the_way_out(session, monkeypatch):
    for fov in session.fovs:
        monkeypatch.setitem(vars(fov), "deconvolved_activity", None)
    with pytest.raises(ConfigError, match="response='dff'"):
        mesoscope_recording(session)
