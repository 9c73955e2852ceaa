"""Drawn parameters: their ranges, how evenly they cover them, and their seeds."""

from __future__ import annotations

import numpy as np
import pytest

from utils.config import ConfigError
from utils.simulation.synthesis import SYNTHESISERS, draw_parameters, synthesiser_config
from utils.simulation.synthesis.config import ParameterRange

EVERY = ["uniform", "grid", "sobol"]


def combinations(config, n, seed=0):
    drawn = draw_parameters(config, n, "grid", seed)
    names = synthesiser_config(config).varying
    return [tuple(row) for row in np.stack([drawn[name] for name in names], axis=1)]


@pytest.mark.parametrize("name", SYNTHESISERS)
@pytest.mark.parametrize("sampling", EVERY)
def test_all_parameters_lie_in_their_ranges(name, sampling):
    config = SYNTHESISERS[name]
    drawn = draw_parameters(name, 50, sampling)
    assert list(drawn) == list(config.parameters)
    for parameter, values in drawn.items():
        range_ = config.parameters[parameter]
        assert values.shape == (50,)
        assert ((values >= range_.min) & (values <= range_.max)).all()
        assert (len(np.unique(values)) > 1) == range_.varies


@pytest.mark.parametrize("sampling", EVERY)
def test_seeds_repeat_and_differ(sampling):
    first, again, other = (draw_parameters("moog_basic", 20, sampling, seed) for seed in (3, 3, 4))
    for name in ("log10_decay_time", "filter_cutoff"):
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])


@pytest.mark.parametrize("sampling", EVERY)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_few_samples_are_the_first_of_many(sampling, n):
    few, many = (draw_parameters("moog_basic", k, sampling) for k in (n, 40))
    for name, values in few.items():
        assert values.shape == (n,)
        if sampling != "sobol" or n:
            np.testing.assert_array_equal(values, many[name][:n])


def test_uniform_values_are_those_of_nsmt(reference):
    """Its set of 16 sounds was drawn with seed 0."""
    folder = reference / "vimh" / "vimh-32x32x1_8000Hz_1p0s_16dss_simple_2p"
    records = np.frombuffer(
        b"".join((folder / part).read_bytes() for part in ("train", "test")), np.uint8
    ).reshape(16, 1043)
    drawn = draw_parameters("simple_saw", 16)
    shares = drawn["note_velocity"] - 126, (drawn["log10_decay_time"] + 2) / 2.3
    np.testing.assert_array_equal((255 * np.stack(shares)).astype(int), records[:, [16, 18]].T)


def test_a_whole_grid_has_every_combination_once():
    found = combinations("simple_saw", 72)
    assert len(set(found)) == 72
    assert {v for v, _ in found} == {126, 126.5, 127}
    np.testing.assert_allclose(sorted({d for _, d in found}), np.arange(-2, 0.35, 0.1), atol=1e-9)


def test_a_grid_begins_again_after_its_last_combination():
    found = combinations("simple_saw", 200, seed=1)
    assert found[:72] == found[72:144]
    assert found[:56] == found[144:]


@pytest.mark.parametrize("name", ["moog_basic", "moog_envelope", "moog_resonance", "string"])
def test_a_small_part_of_a_grid_uses_all_steps_evenly(name):
    drawn = draw_parameters(name, 1024, "grid")
    for parameter, range_ in SYNTHESISERS[name].varying.items():
        values, counts = np.unique(drawn[parameter], return_counts=True)
        np.testing.assert_array_equal(values, range_.grid)
        expected = 1024 / len(range_.grid)
        assert np.abs(counts - expected).max() < max(0.3 * expected, 5), parameter


def test_sobol_points_fill_the_ranges_more_evenly_than_random_ones():
    def emptiest(sampling):
        drawn = draw_parameters("moog_basic", 256, sampling)
        pair = (drawn["filter_cutoff"] - 200) / 1800, drawn["filter_resonance"] / 0.9
        return np.histogram2d(*pair, bins=8, range=[(0, 1), (0, 1)])[0].min()

    assert emptiest("sobol") == 4  # each of 64 cells has its 4 of 256
    assert emptiest("uniform") < 3


def test_a_synthesiser_without_varying_parameters_repeats_itself():
    fixed = {
        name: {"min": 1.0, "max": 1.0}
        for name in ("note_number", "note_velocity", "log10_decay_time")
    }
    config = synthesiser_config({"name": "fixed", "parameters": fixed})
    for sampling in EVERY:
        np.testing.assert_array_equal(draw_parameters(config, 3, sampling)["note_number"], 1.0)


@pytest.mark.parametrize(
    ("settings", "grid"),
    [
        ({"min": 100, "max": 127, "step": 10}, [100, 110, 120, 127]),  # classes 0 to 3
        ({"min": 0, "max": 1, "step": 0.3}, [0, 0.3, 0.6, 0.9]),
        ({"min": 2, "max": 2}, [2]),
        ({"min": 0, "max": 16}, np.arange(17)),
    ],
)
def test_a_grid_has_one_value_per_class(settings, grid):
    np.testing.assert_allclose(ParameterRange(**settings).grid, grid)


def test_wrong_requests_are_named():
    with pytest.raises(ConfigError, match="no sampling 'sobel'; did you mean sobol"):
        draw_parameters("simple_saw", 3, "sobel")
    with pytest.raises(ConfigError, match="no synthesiser 'simple_sow'; did you mean simple_saw"):
        draw_parameters("simple_sow", 3)
    with pytest.raises(ValueError, match="n must not be negative, found -1"):
        draw_parameters("simple_saw", -1)
