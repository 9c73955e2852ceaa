"""The most exciting input of a known cell is its own filter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.evaluation.v1_twin.conftest import CELLS, KERNEL, N_LAGS, SIDE, gabors, known_rates
from utils.evaluation.v1_twin.most_exciting import PIXEL_LIMIT, most_exciting_inputs

SHAPE = (N_LAGS, SIDE, SIDE)


@pytest.fixture(scope="module")
def found():
    return most_exciting_inputs(known_rates, SHAPE, [0, 1, 2], contrast=0.05)


def filters(cell):
    """(filter, N_LAGS * SIDE * SIDE): one of a simple cell, two of a complex one."""
    pair = gabors()[cell][: 2 if CELLS[cell][-1] else 1]
    return (KERNEL[::-1][None, :, None, None] * pair[:, None]).reshape(len(pair), -1)


def unit(movie):
    return movie.ravel() / np.linalg.norm(movie)


@pytest.mark.parametrize("cell", [0, 1])
def test_the_movie_of_a_simple_cell_is_its_filter(found, cell):
    assert unit(found.movies[cell]) @ unit(filters(cell)) > 0.93


def test_the_movie_of_a_complex_cell_lies_in_the_plane_of_its_filters(found):
    plane = np.linalg.qr(filters(2).T)[0]
    assert np.linalg.norm(unit(found.movies[2]) @ plane) > 0.93


def test_contrast_and_pixels_are_limited_and_rates_are_the_models_own(found):
    size = np.sqrt((found.movies**2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(size, 0.05, rtol=1e-4)
    assert np.abs(found.movies).max() <= PIXEL_LIMIT
    rates = known_rates(torch.from_numpy(found.movies), None)[:, -1].diagonal()
    np.testing.assert_allclose(found.rates, rates, rtol=1e-5)
    assert (found.rates > 100 * found.blank_rates).all()


def test_no_noise_of_the_same_contrast_excites_as_much(found):
    noise = torch.randn(200, *SHAPE, generator=torch.manual_seed(1))
    noise *= 0.05 / noise.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    assert (found.rates > 20 * known_rates(noise, None)[:, -1].max(dim=0).values.numpy()).all()


def test_cells_may_be_chosen_and_repeat():
    options = {"steps": 5, "contrast": 0.05}
    few = most_exciting_inputs(known_rates, SHAPE, [2, 0], **options)
    again = most_exciting_inputs(known_rates, SHAPE, [2, 0], **options)
    np.testing.assert_array_equal(few.movies, again.movies)
    other = most_exciting_inputs(known_rates, SHAPE, [2, 0], seed=1, **options)
    assert np.abs(few.movies - other.movies).max() > 0.01
    assert few.movies.shape == (2, *SHAPE)
    assert few.cells.tolist() == [2, 0]


def test_more_contrast_is_used_where_it_is_allowed(found):
    strong = most_exciting_inputs(known_rates, SHAPE, [0, 1, 2], contrast=0.08)
    assert (strong.rates > 1.8 * found.rates).all()


def test_a_model_without_gradient_keeps_the_noise_it_began_with():
    blind = most_exciting_inputs(
        lambda movies, _: 1 + 0 * known_rates(movies, None), SHAPE, [0], steps=3
    )
    assert np.isfinite(blind.movies).all()
    np.testing.assert_allclose(blind.rates, 1)
