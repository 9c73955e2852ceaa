"""Closed-form rows of W against least squares on the explicit design."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.models.gnn.solver import choose_penalty, solve_rows, squared_error
from utils.models.gnn.statistics import Statistics, collect
from utils.models.gnn.stream import Batch

N, T = 6, 200
ROWS = torch.tensor([4, 1, 2])


def own_columns(u: torch.Tensor) -> torch.Tensor:
    some = u[:, ROWS]
    return torch.stack([torch.ones_like(some), some, some**2], dim=2)


def batches(size: int = T, noise: float = 0.1, seed: int = 0, n_frames: int = T) -> list[Batch]:
    random = np.random.default_rng(seed)
    mixing, weights = np.random.default_rng(9).normal(size=(2, N, N))
    np.fill_diagonal(weights, 0)
    u = torch.from_numpy(random.normal(size=(n_frames, N)) @ mixing)
    target = torch.tanh(u) @ torch.from_numpy(weights).mT - 2 * u + 1
    target = target + noise * torch.from_numpy(random.normal(size=target.shape))
    return [
        Batch(u[i : i + size], target[i : i + size], lambda values: values)
        for i in range(0, n_frames, size)
    ]


def statistics(parts: list[Batch]) -> Statistics:
    return collect(parts, torch.tanh, own_columns, ROWS)


@pytest.mark.parametrize("penalty", [1e-12, 1e-2, 1.0])
def test_rows_are_those_of_the_explicit_design(penalty):
    (batch,) = parts = batches()
    found = solve_rows(statistics(parts), ROWS, penalty)
    sent = torch.tanh(batch.activity).numpy()
    level = penalty * (sent**2).sum(axis=0).mean()
    for place, row in enumerate(ROWS.tolist()):
        others = np.delete(np.arange(N), row)
        own = own_columns(batch.activity)[:, place].numpy()
        ridge = np.sqrt(level) * np.eye(N - 1, N - 1 + own.shape[1])
        design = np.vstack([np.hstack([sent[:, others], own]), ridge])
        target = np.r_[batch.target[:, row].numpy(), np.zeros(N - 1)]
        solution, *_ = np.linalg.lstsq(design, target)
        np.testing.assert_allclose(found.connectivity[place, others], solution[: N - 1], atol=1e-8)
        np.testing.assert_allclose(found.own[place], solution[N - 1 :], atol=1e-8)
        error = ((target - design @ solution) ** 2).sum()
        assert found.residual[place].item() == pytest.approx(error, rel=1e-6)
        assert abs(found.connectivity[place, row]) < 1e-12


@pytest.mark.parametrize("size", [1, 33, 100])
def test_batches_add_up_to_one(size):
    whole, parts = statistics(batches()), statistics(batches(size))
    assert parts.n_frames == whole.n_frames == T
    for name in ("gram", "cross", "own"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))


def test_error_in_other_frames_is_that_of_predictions():
    found = solve_rows(statistics(batches()), ROWS, 1e-6)
    (other,) = unseen = batches(seed=1)
    predicted = torch.tanh(other.activity) @ found.connectivity.mT
    predicted = predicted + (own_columns(other.activity) * found.own).sum(dim=2)
    expected = ((other.target[:, ROWS] - predicted) ** 2).sum(dim=0)
    torch.testing.assert_close(squared_error(statistics(unseen), found), expected)


def test_noise_asks_for_a_larger_penalty():
    penalties = [10.0**power for power in range(-9, 2)]

    def chosen(noise: float) -> float:
        train = statistics(batches(noise=noise, n_frames=40))
        return choose_penalty(train, statistics(batches(noise=noise, seed=1)), ROWS, penalties)

    assert chosen(1e-4) < 1e-3 < chosen(30.0)


def test_silent_neurons_get_no_weight():
    (batch,) = batches()
    batch.activity[:, 0] = 0
    found = solve_rows(statistics([batch]), ROWS, 1e-8)
    assert torch.isfinite(found.connectivity).all()
    assert not found.connectivity[:, 0].any()


def test_no_frames_are_an_error():
    with pytest.raises(ValueError, match="missing value"):
        statistics([])
