"""Pooling: torch's in space, every frame as a phase in time, and no aliasing where asked."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from utils.models.v1_twin.config import PoolConfig
from utils.models.v1_twin.phases import unfold_phases
from utils.models.v1_twin.pooling import Pool

TORCH = {"max": functional.max_pool3d, "avg": functional.avg_pool3d}


def sequence(n_frames: int, rows: int = 7, columns: int = 8) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(2, n_frames, 3, rows, columns)


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize("size", [(1, 2, 2), (2, 2, 3), (3, 1, 2), (4, 1, 1)])
def test_each_frame_is_what_strided_pooling_up_to_it_gives(kind, size):
    pool, x = Pool(PoolConfig(type=kind, size=size)), sequence(15)
    every = unfold_phases(pool(x), pool.phases, dim=1)
    n_left = every.shape[1]
    assert n_left == (15 - size[0] + 1) // size[0] * size[0]
    for end in range(15 - n_left, 15):
        window = x[:, (end + 1) % size[0] : end + 1].transpose(1, 2)
        expected = TORCH[kind](window, size).transpose(1, 2)
        torch.testing.assert_close(every[:, end - 15], expected[:, -1])
        torch.testing.assert_close(pool(x[:, : end + 1], last_phase=True), expected)


@pytest.mark.parametrize("kind", ["max", "avg", "antialias"])
@pytest.mark.parametrize("size", [(1, 2, 2), (1, 3, 1), (2, 1, 2)])
def test_output_size_is_that_of_the_output(kind, size):
    pool = Pool(PoolConfig(type=kind, size=size))
    for rows in (7, 8, 9):
        assert pool(sequence(6, rows)).shape[3:] == pool.output_size(rows, 8)


def test_anti_aliased_pooling_weighs_one_two_one():
    x = torch.zeros(1, 1, 1, 3, 3)
    x[..., 1, 1], x[..., 0, 2] = 16.0, 160.0
    pooled = Pool(PoolConfig(type="antialias", size=(1, 2, 2)))(x)
    torch.testing.assert_close(pooled, torch.full((1, 1, 1, 1, 1), 4.0 + 10.0))


def test_anti_aliased_pooling_over_time_sees_past_frames_only():
    x = torch.zeros(1, 7, 1, 1, 1)
    x[0, 4] = 1.0
    pool = Pool(PoolConfig(type="antialias", size=(2, 1, 1)))
    every = unfold_phases(pool(x), 2, dim=1).flatten()
    torch.testing.assert_close(every, torch.tensor([0.0, 0.25, 0.5, 0.25]))  # frames 3 to 6


def test_anti_aliased_pooling_lets_no_frequency_through_that_it_cannot_keep():
    columns = torch.arange(33)
    grating = torch.cos(math.pi * columns).expand(1, 1, 1, 33, 33)  # would alias to a mean
    passed = {
        kind: Pool(PoolConfig(type=kind, size=(1, 2, 2)))(grating).abs().max().item()
        for kind in ("max", "antialias")
    }
    assert passed["max"] == 1.0
    assert passed["antialias"] < 1e-6


def test_pools_that_do_not_fit_are_refused_with_their_numbers():
    with pytest.raises(ValueError, match=r"over \[5, 1, 1\] .* does not fit into \[4, 7, 8\]"):
        Pool(PoolConfig(type="antialias", size=(3, 1, 1)))(sequence(4))
    with pytest.raises(ValueError, match=r"over \[1, 8, 2\] .* does not fit into \[4, 7, 8\]"):
        Pool(PoolConfig(type="max", size=(1, 8, 2)))(sequence(4))
