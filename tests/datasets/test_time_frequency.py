"""Images of activity: what an atom sees, what scaling keeps, and which windows may be used."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge

from utils.datasets.session_windows import (
    population_signals,
    region_images,
    trial_images,
    windows_in_blocks,
)
from utils.datasets.time_frequency import (
    UNKNOWN,
    TimeFrequencyConfig,
    time_frequency_atoms,
    time_frequency_data,
)
from utils.datasets.time_frequency_module import TimeFrequencyModule
from utils.simulation.rhythms import simulate_rhythms
from utils.splits import TEST, TRAIN, VALIDATION
from utils.windows import window_data

torch.set_num_threads(1)  # tiny tensors: threads only wait for each other

RATE = 5.0
CONFIG = TimeFrequencyConfig(n_frequencies=10, n_times=8, n_components=2, min_cells=2)
BLOCK = np.repeat([TRAIN, VALIDATION, TEST], [60, 10, 20])


def images_of(windows, values=None, config=CONFIG, **options):
    values = {"level": np.arange(90.0)} if values is None else values
    return time_frequency_data(windows, RATE, values, BLOCK, config, **options)


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).standard_normal((90, 40, 2)).astype(np.float32)


@pytest.mark.parametrize("kind", ["wavelet", "stft"])
def test_atoms_measure_the_amplitude_of_a_rhythm_and_ignore_a_constant(kind):
    config = CONFIG.model_copy(update={"kind": kind})
    frequencies, _times, atoms = time_frequency_atoms(200, RATE, config)
    assert atoms.shape == (10, 8, 200)
    row, seconds = 7, np.arange(200) / RATE
    rhythm = 3 * np.sin(2 * np.pi * frequencies[row] * seconds + 1)
    middle = slice(2, 6)  # whole atoms, not cut by the window
    np.testing.assert_allclose(np.abs(atoms @ rhythm)[row, middle], 3, rtol=0.05)
    np.testing.assert_allclose((atoms @ np.full(200, 5.0))[0], 5, rtol=1e-5)
    np.testing.assert_allclose((atoms @ np.full(200, 5.0))[1:], 0, atol=1e-4)
    assert frequencies[-1] < RATE / 2


def test_amplitude_is_kept(noise):
    """Windows that differ in strength alone differ in their images."""
    louder = noise.copy()
    louder[1::2] *= 4
    data = images_of(louder)
    quiet, loud = data.images[::2, :, 1:].mean(), data.images[1::2, :, 1:].mean()
    assert loud - quiet > 1  # training deviations


def test_statistics_come_from_training_alone(noise):
    other = noise.copy()
    other[BLOCK != TRAIN] = 100 * other[BLOCK != TRAIN] + 7
    one, two = images_of(noise), images_of(other)
    np.testing.assert_array_equal(one.images[BLOCK == TRAIN], two.images[BLOCK == TRAIN])
    np.testing.assert_allclose(one.images[BLOCK == TRAIN].mean(axis=(0, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(one.images[BLOCK == TRAIN].std(axis=(0, 3)), 1, rtol=1e-3)


def test_a_constant_channel_gives_finite_images(noise):
    noise = noise.copy()
    noise[..., 1] = 3.0
    data = images_of(noise)
    assert np.isfinite(data.images).all()
    np.testing.assert_allclose(data.images[:, 1], 0, atol=1e-3)


def test_targets_that_are_missing_are_masked_or_left_out_with_the_reason(noise):
    side = np.tile([0.0, 1.0, np.nan], 30)
    values = {"side": side, "flat": np.ones(90), "rare": np.where(np.arange(90) < 5, 1, np.nan)}
    data = images_of(noise, values, classes={"side": ("left", "right")})
    assert [t.name for t in data.targets] == ["side"]
    assert data.targets[0].n_classes == 2
    np.testing.assert_array_equal(data.labels[:3, 0], [0, 1, UNKNOWN])
    assert len(data.known(TRAIN, 0)) == 40
    reasons = data.left_out.set_index("item")["reason"]
    assert "does not vary" in reasons["flat"]
    assert "train has 5 windows" in reasons["rare"]


def test_batches_of_all_blocks_are_alike_and_cover_each_window_once(noise):
    module = TimeFrequencyModule(images_of(noise), batch_size=16)
    train = list(module.train_dataloader())
    assert len(train) == 4
    assert module.image_shape == (2, 10, 8)
    levels = torch.cat([batch.values for batch in train])[:, 0]
    assert sorted(levels.tolist()) == list(range(60))
    test = next(iter(module.test_dataloader()))
    assert test.images.shape == (16, 2, 10, 8)
    assert test.auxiliary.shape == (16, 0)
    np.testing.assert_array_equal(test.values[:, 0], np.arange(70, 86))


def test_nothing_to_decode_says_why(noise):
    data = images_of(noise, {"flat": np.ones(90)})
    with pytest.raises(ValueError, match=r"nothing to decode.*flat: does not vary"):
        TimeFrequencyModule(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: (w[:, :, 0], BLOCK), "must be .window, time, channel"),
        (lambda w: (w, BLOCK[1:]), "block has shape"),
        (lambda w: (w, np.zeros(90)), "each must have one"),
        (lambda w: (np.where(w > 2, np.nan, w), BLOCK), "must be finite"),
    ],
)
def test_wrong_windows_are_refused(noise, change, message):
    windows, block = change(noise)
    with pytest.raises(ValueError, match=message):
        time_frequency_data(windows, RATE, {}, block, CONFIG)


# --- sessions ----------------------------------------------------------------------------------

N_FRAMES = 6000


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    activity = rng.standard_normal((N_FRAMES, 24)).astype(np.float32)
    activity[3000:3010] = np.nan  # a hole
    activity[:50, 3] = np.nan
    neurons = pd.DataFrame({"uuid": range(24), "region": np.repeat(["MOs", "VISp"], 12)})
    return window_data(activity, np.arange(N_FRAMES) / RATE, 13, 12, neurons=neurons)


@pytest.fixture(scope="module")
def session():
    onsets = np.arange(10.0, N_FRAMES / RATE - 5, 7)
    n = len(onsets)
    rng = np.random.default_rng(2)
    right = rng.random(n) < 0.5
    contrast = rng.choice([0.25, 1.0], n)
    trials = pd.DataFrame(
        {
            "stimOn_times": onsets,
            "contrastLeft": np.where(right, np.nan, contrast),
            "contrastRight": np.where(right, contrast, np.nan),
            "choice": rng.choice([-1, 0, 1], n),
        }
    )
    ticks = np.arange(0, N_FRAMES / RATE, 0.1)
    return SimpleNamespace(
        eid="fake",
        source="simulated",
        trials=trials,
        wheel_timestamps=ticks,
        wheel_position=np.cumsum(rng.standard_normal(len(ticks))),
        pupil=None,
        motion_energy=None,
        licks=None,
    )


def test_windows_lie_inside_one_segment_of_one_block(data):
    onsets = np.r_[np.arange(0.0, N_FRAMES / RATE, 1.3), np.nan]
    chosen, starts, block = windows_in_blocks(data, onsets, 25)
    frames = starts[:, None] + np.arange(25)
    assert (data.split[frames] == block[:, None]).all()
    assert data.frame_mask[frames].all()
    np.testing.assert_array_equal(np.unique(block), [TRAIN, VALIDATION, TEST])
    for one, other in [(TRAIN, VALIDATION), (VALIDATION, TEST)]:
        assert not np.intersect1d(frames[block == one], frames[block == other]).size
    assert len(onsets) - 1 not in chosen


def test_values_of_trials_are_those_of_their_windows(data, session):
    found = trial_images(session, data, CONFIG)
    chosen, starts, _ = windows_in_blocks(data, session.trials["stimOn_times"] - 1, 25)
    trials = session.trials.iloc[chosen]
    columns = {target.name: i for i, target in enumerate(found.targets)}
    right = trials["contrastRight"].notna()
    np.testing.assert_array_equal(found.values[:, columns["side"]], right)
    strong = trials[["contrastLeft", "contrastRight"]].max(axis=1) == 1
    np.testing.assert_array_equal(found.values[:, columns["contrast"]], strong)
    choice = trials["choice"].map({-1: 1.0, 1: 0.0, 0: np.nan})
    np.testing.assert_array_equal(found.values[:, columns["choice"]], choice)
    np.testing.assert_array_equal(found.seconds, data.timestamps[starts])
    assert "speed" in columns
    assert "pupil" in found.left_out["item"].tolist()
    assert found.channels == ("MOs", "VISp", "component 1", "component 2")
    assert np.isfinite(found.images).all()


def test_signals_do_not_depend_on_the_test_block(data):
    signals, _ = population_signals(data, CONFIG)
    changed = data.activity.clone()
    test = data.test.segments[0]
    changed[test[0] : test[1]] *= 9
    again, _ = population_signals(replace(data, activity=changed), CONFIG)
    np.testing.assert_allclose(again[: test[0]], signals[: test[0]], atol=1e-5)


def test_a_session_without_trials_says_so(data, session):
    blind = SimpleNamespace(**vars(session) | {"trials": pd.DataFrame()})
    with pytest.raises(ValueError, match="no times of stimuli"):
        trial_images(blind, data, CONFIG)


def test_regions_are_tested_on_cells_and_times_that_training_never_saw(data):
    louder = data.activity.clone()
    louder[:, 12:] *= 3
    found = region_images(replace(data, activity=louder), CONFIG, cells_per_group=3, every=1)
    assert found.targets[0].classes == ("MOs", "VISp")
    train, test = found.samples(TRAIN), found.samples(TEST)
    assert found.seconds[train].max() < found.seconds[test].min()
    spread = found.means[test, 1]
    assert spread[found.labels[test, 0] == 1].min() > spread[found.labels[test, 0] == 0].max()
    with pytest.raises(ValueError, match="0 areas have 30 cells"):
        region_images(data, CONFIG)


# --- a known truth -----------------------------------------------------------------------------


def test_a_ridge_recovers_the_truth_of_simulated_calcium():
    n = 600
    calcium = simulate_rhythms(n, seed=0)
    block = np.repeat([TRAIN, VALIDATION, TEST], [420, 60, 120])
    config = TimeFrequencyConfig(n_frequencies=16, n_times=8, cycles=4)
    population = calcium.dff.mean(axis=2, keepdims=True)
    data = time_frequency_data(population, 5.07538, calcium.truth, block, config)
    flat, train, test = data.images.reshape(n, -1), data.samples(TRAIN), data.samples(TEST)
    for i, target in enumerate(data.targets):
        said = Ridge(300).fit(flat[train], data.values[train, i]).predict(flat[test])
        assert np.corrcoef(said, data.values[test, i])[0, 1] > 0.6, target.name


def test_simulated_calcium_needs_something_to_simulate():
    with pytest.raises(ValueError, match="at least one recording"):
        simulate_rhythms(0)
