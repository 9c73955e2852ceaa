"""Inputs: oscillations, triggered bursts and the movie, as functions of the frame."""

from __future__ import annotations

import numpy as np
import pytest

from utils.simulation import NetworkConfig
from utils.simulation.network.inputs import draw_inputs


def values(settings, frames, n=30, seed=0):
    config = NetworkConfig(n_neurons=n, input=settings)
    return draw_inputs(config, np.random.default_rng(seed))(np.asarray(frames))


KINDS = [
    {"type": "oscillation"},
    {"type": "impulses", "interval": 50, "duration": 30},
    {"type": "movie"},
]


def test_oscillation_is_a_cosine_of_its_frequency():
    drive = values({"type": "oscillation", "frequency": 2.0, "amplitude": 3.0}, range(200))
    wave = np.cos(2 * np.pi * 2.0 * 0.01 * np.arange(200))
    np.testing.assert_allclose(drive, wave[:, None] * drive[0], atol=1e-5)
    assert -3 <= drive[0].min() < -2 < 2 < drive[0].max() <= 3


def test_impulses_hit_their_targets_for_one_frame():
    settings = {"type": "impulses", "interval": 40, "duration": 20, "amplitude": 0, "n_targets": 4}
    drive = values(settings, range(400))
    assert set(np.unique(drive)) == {0, 5}
    triggers = np.flatnonzero(drive.any(axis=1))
    assert (drive[triggers].sum(axis=1) == 4 * 5).all()
    late = triggers - 40 * np.arange(10)  # one per interval, up to half of it late
    assert late.min() >= 0
    assert late.max() < 20
    targets = {tuple(np.flatnonzero(row)) for row in drive[triggers]}
    assert len(targets) > 5


def test_burst_lasts_its_duration():
    drive = values({"type": "impulses", "interval": 500, "duration": 60, "strength": 0}, range(500))
    frames = np.flatnonzero(drive.any(axis=1))
    assert len(frames) >= 58  # a wave may pass through 0
    assert frames[-1] - frames[0] <= 59


def test_long_bursts_overlap():
    """A burst that began many intervals ago still goes on."""
    settings = {"type": "impulses", "interval": 10, "duration": 95, "strength": 0}
    whole = values(settings, range(300))
    np.testing.assert_array_equal(values(settings, range(250, 300)), whole[250:])


def test_movie_has_unit_variance_and_moves_smoothly():
    drive = values({"type": "movie", "n_waves": 64}, range(0, 20_000, 10), n=200)
    assert drive.std() == pytest.approx(1, abs=0.1)
    assert np.abs(np.diff(values({"type": "movie"}, range(100)), axis=0)).max() < 0.1


def test_movie_is_alike_at_near_places():
    """The correlation between neurons is high for some and not for most."""
    drive = values({"type": "movie"}, range(0, 20_000, 20), n=100)
    correlation = np.corrcoef(drive.T)[~np.eye(100, dtype=bool)]
    assert correlation.max() > 0.95
    assert np.median(np.abs(correlation)) < 0.5


@pytest.mark.parametrize("settings", KINDS)
def test_frame_decides_not_the_block(settings):
    whole = values(settings, range(-20, 230))
    parts = [values(settings, range(a, b)) for a, b in ((-20, 0), (0, 97), (97, 230))]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


@pytest.mark.parametrize("settings", KINDS)
def test_offset_amplitude_and_seed(settings):
    plain = values(settings, range(90))
    assert plain.dtype == np.float32
    assert (values(settings, range(90), seed=1) != plain).any()
    shifted = values(settings | {"offset": 2.0}, range(90))
    np.testing.assert_allclose(shifted, plain + 2, atol=1e-5)
    silent = {"strength": 0.0} if settings["type"] == "impulses" else {}
    assert not values(settings | silent | {"amplitude": 0.0}, range(90)).any()


def test_more_targets_than_neurons():
    drive = values({"type": "impulses", "interval": 5, "amplitude": 0}, range(10), n=3)
    assert set(drive.sum(axis=1).tolist()) == {0, 15}
