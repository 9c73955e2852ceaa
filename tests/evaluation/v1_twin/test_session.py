"""Receptive fields and contrast responses of a session's cells and of its twin."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from utils.datasets.v1 import V1DataModule, as_recording, describe_recordings, prepare_dataset
from utils.datasets.v1.mesoscope import describe_session, mesoscope_recording
from utils.datasets.v1.screen import DEFAULT_SCREEN, shown_frames
from utils.evaluation.v1_twin.session import (
    contrast_recovery,
    contrast_responses,
    field_recovery,
    look_at,
    noise_fields,
    probed_contrasts,
    probed_fields,
    readout_edges,
    session_scores,
    session_truth,
)
from utils.load_meso_session import MesoscopeSession
from utils.models.v1_twin import build_model
from utils.sessions.lookup import local_one
from utils.simulation import load_truth
from utils.splits import TEST, TRAIN

INTERVAL = 0.2
CENTRES = np.array([[-32.0, 12.0], [20.0, -20.0], [0.0, 40.0]])
POLARITY = np.array([1, -1, 1])
AZIMUTH, ELEVATION = DEFAULT_SCREEN.azimuth, DEFAULT_SCREEN.elevation


def filters(sd=9.0):
    """(cell, row, column) Gaussian receptive fields."""
    across = np.exp(-0.5 * ((AZIMUTH - CENTRES[:, :1]) / sd) ** 2)
    down = np.exp(-0.5 * ((ELEVATION - CENTRES[:, 1:]) / sd) ** 2)
    return (POLARITY[:, None, None] * down[:, :, None] * across[:, None, :]).astype(np.float32)


def noise_recording(noise_level=0.5, n=1500):
    """Cells that add up what noise shows in their field, a bin later, and are rectified."""
    rng = np.random.default_rng(0)
    frames = rng.choice(np.array([0, 128, 255], np.uint8), (n, 15, 15), p=(0.03, 0.94, 0.03))
    session = SimpleNamespace(
        noise_frames=frames, noise_times=0.25 * np.arange(n), trials=pd.DataFrame()
    )
    times = INTERVAL * np.arange(1, int(n * 0.25 / INTERVAL))
    stim = shown_frames(session, times, INTERVAL)
    drive = ((stim.astype(np.float32) - 127) / 127).reshape(len(times), -1) @ filters().reshape(
        3, -1
    ).T
    drive = np.roll(drive, 1, axis=0) + noise_level * drive.std() * rng.normal(size=drive.shape)
    return as_recording(
        {
            "stim": stim,
            "robs": drive.clip(min=0).astype(np.float32),
            "trial_inds": np.arange(len(times)) // 150,
            "stim_type": np.zeros(len(times), np.int8),
            "stim_types": ["noise"],
            "rate_hz": 1 / INTERVAL,
            "px_per_deg": DEFAULT_SCREEN.px_per_deg,
        }
    )


def predict(stimulus, behavior):
    """Rates of one linear cell for each filter, of the last frame, and the contrast's energy."""
    contrast = (stimulus.float() - 127) / 127
    linear = torch.einsum("bfij,cij->bfc", contrast, torch.from_numpy(filters()))
    energy = contrast.square().mean((2, 3))[..., None]
    return (1 + 0.01 * linear + energy)[:, -1:]


def test_fields_of_noise_are_found_with_their_sign():
    found = noise_fields(noise_recording())
    np.testing.assert_allclose(found[["azimuth", "elevation"]], CENTRES, atol=3)
    assert found["polarity"].tolist() == POLARITY.tolist()
    assert found["clear"].all()


def test_responses_without_a_field_are_not_clear():
    recording = noise_recording()
    rng = np.random.default_rng(1)
    found = noise_fields(recording, rng.gamma(1, 1, (recording.n_bins, 40)))
    assert found["clear"].mean() < 0.1


def test_only_bins_of_the_mask_count():
    recording = noise_recording()
    kept = np.arange(recording.n_bins) < 1000
    spoilt = np.where(kept[:, None], recording.robs, 1000)
    pd.testing.assert_frame_equal(
        noise_fields(recording, spoilt, kept), noise_fields(recording, mask=kept)
    )


def test_a_twin_is_probed_with_squares():
    found = probed_fields(predict, DEFAULT_SCREEN, 3)
    np.testing.assert_allclose(found[["azimuth", "elevation"]], CENTRES, atol=3)
    assert found["polarity"].tolist() == POLARITY.tolist()


def test_a_twin_is_probed_with_gratings():
    table = probed_contrasts(predict, DEFAULT_SCREEN, 3)
    assert list(table) == ["c0", "c0.0625", "c0.125", "c0.25", "c1"]
    np.testing.assert_allclose(table["c0"], 0, atol=1e-6)
    ratio = table["c0.25"] / table["c1"]
    assert ((ratio > 0.02) & (ratio < 0.26)).all()  # between square and linear


def test_contrast_responses_by_hand():
    trials = pd.DataFrame(
        {"stimOn_times": [2.0, 6.0, 10.0, 14.0], "contrastLeft": [1.0, 0.25, 1.0, np.nan]}
    )
    ends = INTERVAL * np.arange(1, 101)
    values = np.zeros((100, 1))
    for onset, size in ((2.0, 4.0), (6.0, 1.0), (10.0, 2.0), (14.0, 50.0)):
        values[(ends > onset + 0.1) & (ends < onset + 1)] = size
    recording = SimpleNamespace(t_bins=ends - INTERVAL / 2, metadata={"rate_hz": 1 / INTERVAL})
    table = contrast_responses(recording, trials, values + 7)
    assert table["c1"].item() == pytest.approx(3)
    assert table["c0.25"].item() == pytest.approx(1)
    assert table[["c0", "c0.0625", "c0.125"]].isna().all(axis=None)


def test_readouts_look_where_clear_fields_are():
    data = {"name": "a", "cell_ids": [0, 1, 2], "grid": (30, 30), "behavior_dims": 5}
    model = build_model("session", [data])
    assert readout_edges(model, DEFAULT_SCREEN) == (56, 56)
    fields = pd.DataFrame(CENTRES, columns=["azimuth", "elevation"])
    look_at(model, "a", fields.assign(clear=[True, True, False]), DEFAULT_SCREEN)
    mean = model.readouts["a"].mean.detach().numpy()
    np.testing.assert_allclose(mean[:2] * 56, CENTRES[:2], rtol=1e-5)
    assert not mean[2].any()
    # a square there is what the cell sees most of
    masks = model.readouts["a"].masks()[0].detach().numpy()
    row, column = np.unravel_index(masks.argmax(), masks.shape)
    assert (8 * column - 56, 56 - 8 * row) == pytest.approx(CENTRES[0], abs=4)


def test_scores_by_hand():
    rng = np.random.default_rng(0)
    recording = noise_recording(n=400)
    config = describe_recordings([recording], n_lags=2)[0]
    data = prepare_dataset(config, recording)
    responses, test = data.responses, data.counted(TEST)
    mean = responses[data.counted(TRAIN).all(axis=1)].mean(axis=0)
    rates = {
        "mean": mean + 0 * responses,
        "perfect": responses,
        "unknown": rng.random((1, 3)) + mean,
    }
    rates["unknown"] = np.where(test, rates["unknown"], np.nan)
    scores = session_scores(data, rates, "gaussian").loc["noise"]
    np.testing.assert_allclose(scores["mean"], 0, atol=1e-6)
    np.testing.assert_allclose(scores["perfect"], 1, atol=1e-6)
    held = responses[test.all(axis=1)]
    errors = ((held - rates["unknown"][test.all(axis=1)]) ** 2).sum(0), ((held - mean) ** 2).sum(0)
    np.testing.assert_allclose(scores["unknown"], 1 - errors[0] / errors[1], rtol=1e-4)


def test_linear_readouts_have_no_place_to_look_at():
    data = {"name": "a", "cell_ids": [0], "grid": (30, 30), "behavior_dims": 5}
    model = build_model({"readout": {"type": "linear"}}, [data])
    with pytest.raises(ValueError, match="type 'gaussian'"):
        look_at(model, "a", pd.DataFrame(), DEFAULT_SCREEN)


def test_recovery_by_hand():
    truth = pd.DataFrame({"azimuth": [0.0, 0, 0], "elevation": [0.0, 0, 0], "polarity": [1, 1, -1]})
    found = truth.assign(azimuth=[3.0, 0, 9], elevation=[4.0, 1, 9], polarity=[1, -1, 1])
    table = field_recovery(truth, {"it": found}, [True, True, False])
    assert table.loc["it"].tolist() == [3, 2, 4, 0.5, 2]
    true, same = (
        pd.DataFrame([row], columns=["c0", "c0.25", "c1"]) for row in ([0, 1, 2], [1, 2, 3.0])
    )
    assert contrast_recovery(true, same).item() == pytest.approx(1)
    assert contrast_recovery(true, -same).item() == pytest.approx(-1)


def test_truth_and_true_rates_of_a_simulated_session(tiny_session):
    root, eid = tiny_session
    session = MesoscopeSession.from_eid(local_one(root), eid)
    recording = mesoscope_recording(session)
    truth = load_truth(session.session_path)
    neurons = session.neurons.iloc[recording.metadata["cell_ids"]]
    table = session_truth(truth, neurons)
    assert len(table) == recording.n_cells
    tuning = table.loc[table["visual"], ["c0", "c0.25", "c1"]].to_numpy()
    assert (np.diff(tuning, axis=1) > 0).all()
    assert not table.loc[~table["visual"], "c1"].any()
    # the timing is right: log rates follow the frames of their own bin and the one before
    rates = np.stack(
        [
            truth[f"{fov}/rates"][:, np.flatnonzero(truth[f"{fov}/cells"] == roi)[0]]
            for fov, roi in zip(neurons["fov"], neurons["roi"])
        ],
        axis=1,
    )
    starts = session.timestamps - session.clock.frame_interval
    rates = rates[np.searchsorted(truth["times"], starts - 0.1)]  # the nearest
    found = noise_fields(recording, rates)
    seen = (table["visual"] & found["clear"]).to_numpy()
    assert seen.any()
    assert field_recovery(table, {"true rates": found}, seen)["centre_error"].item() < 4


def test_a_twin_of_a_session_trains(tiny_session):
    root, eid = tiny_session
    recording = mesoscope_recording(MesoscopeSession.from_eid(local_one(root), eid))
    config = describe_session(recording, n_lags=4)
    data = V1DataModule([config], {config.name: recording}, sequence_bins=60)
    batch = next(iter(data.train_dataloader()))[config.name]
    model = build_model("session", [config])
    rates = model(config.name, batch.stimulus, batch.behavior, n_bins=60)
    assert rates.shape == batch.mask.shape
