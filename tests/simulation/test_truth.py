"""The ground truth is what made the data: each claim is recovered from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from utils.simulation import load_truth, simulate_session
from utils.simulation.behaviour import CONTRASTS
from utils.simulation.calcium import calcium_response, sample_frames
from utils.simulation.latents import COUPLING_DELAY, simulate_latents
from utils.simulation.recording import Settings, World, make_world, record_fov
from utils.simulation.timeline import FINE_STEP


@pytest.fixture(scope="module")
def session_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("truth")
    simulate_session(root, n_fovs=1, n_cells=60, minutes=30, progress=False)
    return next(root.glob("*/Subjects/*/*/*"))


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(Settings(1, 60, 0, minutes=60, n_frames=None, seed=5))


def test_truth_reads_arrays_by_name(session_path: Path):
    truth = load_truth(session_path)
    assert truth.settings["simulated"] is True
    assert truth.settings["n_cells"] == 60
    assert truth["FOV_00/spikes"].shape == (len(truth["times"]), 60)
    assert truth["area_names"][0] == "VISp"
    assert set(truth) >= {"area_coupling", "FOV_00/receptive_fields", "FOV_00/contrast_tuning"}
    with pytest.raises(KeyError, match="known: FOV_00/amplitude"):
        truth["weights"]


def test_a_session_without_truth_is_not_a_simulated_one(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="not a simulated session"):
        load_truth(tmp_path)


def test_rates_predict_spike_counts(session_path: Path):
    truth = load_truth(session_path)
    width = np.diff(truth["times"][:2])
    expected = truth["FOV_00/rates"].sum(0) * width
    counted = truth["FOV_00/spikes"].sum(0, dtype=int)
    assert np.abs((counted - expected) / np.sqrt(expected)).max() < 5


def test_spikes_explain_the_deconvolved_activity(session_path: Path):
    truth = load_truth(session_path)
    folder = session_path / "alf" / "FOV_00"
    times = np.load(folder / "mpci.times.npy")
    events = np.load(folder / "mpci.ROIActivityDeconvolved.npy")[:, truth["FOV_00/cells"]]
    # an event appears in the frame of its spike or in the next one, as the indicator rises
    bins = np.searchsorted(truth["times"], times, side="right") - 1
    spikes = truth["FOV_00/spikes"].astype(float)
    around = spikes[bins] + spikes[bins - 1]
    good = np.ptp(events, axis=0) > 0
    bright = truth["FOV_00/amplitude"][truth["FOV_00/cells"]] > 1
    found = [
        np.corrcoef(around[:, cell], events[:, cell])[0, 1]
        for cell in np.flatnonzero(good & bright)
    ]
    assert np.median(found) > 0.5
    # and not in another cell
    shuffled = np.corrcoef(around[:, good][:, :-1].T, events[:, good][:, 1:].T)
    assert np.abs(np.median(shuffled[: good.sum() - 1, good.sum() - 1 :])) < 0.05


def test_roi_time_follows_the_scan_row():
    """A late row sees a rising transient later in its course: its sample is larger."""
    spikes = np.zeros((2, 400), np.uint8)
    spikes[:, 200] = 1
    response = calcium_response(spikes, 1.5)
    early, late = sample_frames(response, np.array([200]), np.array([0.0, 0.4]))[:, 0]
    assert early == 0.0
    assert late == pytest.approx(0.4 * response[0, 201])


def test_spike_triggered_average_has_its_peak_in_the_receptive_field(world: World):
    recording = record_fov(world, 0)
    cells, noise = recording.cells, (world.behaviour.noise_frames.astype(float) - 128) / 127
    strong = np.flatnonzero(cells.visual_gain * cells.base_rate > 0.3)
    assert len(strong) >= 5
    times = np.arange(len(recording.spikes)) * 4 * FINE_STEP
    bins = np.searchsorted(times, world.behaviour.noise_times + 0.06)
    distance = []
    for cell in strong:
        counts = recording.spikes[bins, cell] + recording.spikes[bins + 1, cell].astype(float)
        average = np.tensordot(counts - counts.mean(), noise, 1) * cells.polarity[cell]
        row, column = np.unravel_index(average.argmax(), average.shape)
        azimuth, elevation = (column - 7) * 8.0, (7 - row) * 8.0
        error = np.hypot(azimuth - cells.azimuth[cell], elevation - cells.elevation[cell])
        distance.append(error)
    assert np.median(distance) < 12  # degrees; by chance it would be about 50


def test_visual_cells_follow_the_contrast_on_their_side(world: World):
    recording = record_fov(world, 0)
    cells, trials = recording.cells, world.behaviour.trials
    gain = cells.visual_gain * np.exp(
        -0.5 * ((cells.azimuth + 35) ** 2 + cells.elevation**2) / (cells.field_size**2 + 49)
    )
    seeing = np.argsort(gain)[-15:]
    bins = (trials["stimOn_times"] / (4 * FINE_STEP)).astype(int).to_numpy()
    response = sum(recording.rates[bins + lag][:, seeing] for lag in (1, 2)).mean(1)
    mean = [response[trials["contrastLeft"] == contrast].mean() for contrast in CONTRASTS]
    other_side = response[trials["contrastRight"] == 1].mean()
    assert mean[0] > mean[1] > mean[2] > mean[4]
    assert mean[0] > 2 * other_side
    unseen = np.flatnonzero(cells.visual_gain == 0)
    blind = sum(recording.rates[bins + lag][:, unseen] for lag in (1, 2)).mean(1)
    assert blind[trials["contrastLeft"] == 1].mean() < 1.5 * blind.mean()


def test_contrast_tuning_rises_to_half_at_its_half_contrast(world: World):
    cells = record_fov(world, 0).cells
    tuning = cells.contrast_response(np.array([0.0, 0.1, 0.5, 1.0]))
    assert (np.diff(tuning, axis=1) > 0).all()
    assert (tuning[:, 0] == 0).all()
    one = cells.block(slice(0, 1))
    np.testing.assert_allclose(one.contrast_response(one.half_contrast), 0.5)


def test_area_coupling_is_recovered_from_the_latents(world: World):
    rng = np.random.default_rng(1)
    latents = simulate_latents(world.timeline, world.behaviour, rng)
    coupling = latents.area_coupling
    assert np.abs(np.linalg.eigvals(coupling)).max() <= 0.6 + 1e-9
    assert ((coupling != 0).sum(1) == 2).all()
    fast = latents.area[:, 0].astype(float)  # (area, time) of the shortest time constant
    decay = np.exp(-FINE_STEP / 0.5)
    lag = COUPLING_DELAY + 1
    innovation = fast[:, lag:] - decay * fast[:, lag - 1 : -1]
    source = fast[:, :-lag]
    found = np.linalg.solve(source @ source.T, source @ innovation.T).T / (1 - decay)
    assert np.corrcoef(found.ravel(), coupling.ravel())[0, 1] > 0.9
    strongest = np.abs(coupling) > 0.3
    assert (np.sign(found[strongest]) == np.sign(coupling[strongest])).all()
