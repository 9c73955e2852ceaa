"""Standard errors of W: against drawn bootstraps, and how often intervals hold the truth."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.signal import lfilter
from torch import Tensor

from utils.models.gnn import fit_connectivity
from utils.models.gnn.solver import solve_rows
from utils.models.gnn.statistics import Statistics, collect
from utils.models.gnn.stream import Batch
from utils.models.gnn.uncertainty import connectivity_uncertainty, standard_errors

PENALTY = 1e-9


def blocks_of(activity: Tensor, target: Tensor, n_frames: int) -> list[Statistics]:
    """Statistics of each block; messages are tanh(u), phi is linear."""
    rows = torch.arange(activity.shape[1])
    return [
        collect([Batch(u, y, lambda x: x)], torch.tanh, _line, rows)
        for u, y in zip(activity.split(n_frames), target.split(n_frames))
    ]


def _line(u: Tensor) -> Tensor:
    return torch.stack([torch.ones_like(u), u], dim=2)


def slow_noise(rng: np.random.Generator, shape: tuple[int, int], memory: float) -> Tensor:
    """Noise of unit variance whose correlation falls by ``memory`` per frame."""
    shocks = np.sqrt(1 - memory**2) * rng.standard_normal((shape[0] + 50, shape[1]))
    return torch.from_numpy(lfilter([1], [1, -memory], shocks, axis=0)[50:].copy())


def recording(seed: int, n: int = 12, n_frames: int = 1600) -> tuple[Tensor, Tensor, Tensor]:
    """Activity, target and true W; activity and noise have a memory of a few frames."""
    rng = np.random.default_rng(seed)
    weights = torch.from_numpy(rng.standard_normal((n, n))).fill_diagonal_(0)
    activity = 2 * slow_noise(rng, (n_frames, n), 0.8)
    target = torch.tanh(activity) @ weights.mT - activity + 0.5
    return activity, target + slow_noise(rng, (n_frames, n), 0.8), weights


def test_closed_form_agrees_with_bootstraps_that_are_drawn():
    activity, target, _ = recording(0, n=6)
    blocks = blocks_of(activity, target, 50)
    rows = torch.arange(6)
    rng = np.random.default_rng(1)
    draws = torch.stack(
        [
            solve_rows(reduce(add, rng.choice(blocks, len(blocks))), rows, PENALTY).connectivity
            for _ in range(300)
        ]
    )
    ratio = (standard_errors(blocks, rows, PENALTY) / draws.std(dim=0))[~torch.eye(6, dtype=bool)]
    assert 0.95 < ratio.mean() < 1.05
    assert 0.8 < ratio.min() < ratio.max() < 1.2


@pytest.mark.parametrize(("n_frames", "lowest", "highest"), [(40, 0.92, 0.98), (4, 0.6, 0.9)])
def test_intervals_hold_the_truth_if_blocks_are_longer_than_the_memory(n_frames, lowest, highest):
    held = []
    for seed in range(6):
        activity, target, weights = recording(seed)
        blocks = [*blocks_of(activity, target, n_frames)]
        rows = torch.arange(len(weights))
        error = solve_rows(reduce(add, blocks), rows, PENALTY).connectivity - weights
        width = stats.t.ppf(0.975, len(blocks) - 1) * standard_errors(blocks, rows, PENALTY)
        held.append((error.abs() < width)[~torch.eye(len(weights), dtype=bool)])
    assert lowest < torch.cat(held).double().mean() < highest


def test_rows_may_be_few_and_have_no_weight_of_their_own():
    activity, target, _ = recording(2, n=5)
    blocks = blocks_of(activity, target, 100)
    errors = standard_errors(blocks, torch.arange(5), PENALTY)
    assert errors.diagonal().abs().max() < 1e-12
    assert (errors[~torch.eye(5, dtype=bool)] > 0).all()
    some = torch.tensor([3, 1])
    few = [Statistics(b.gram, b.cross[:, some], b.own[some], b.n_frames) for b in blocks]
    torch.testing.assert_close(standard_errors(few, some, PENALTY), errors[some])


def test_one_block_is_refused():
    activity, target, _ = recording(3, n=4, n_frames=100)
    with pytest.raises(ValueError, match="1 block of frames"):
        standard_errors(blocks_of(activity, target, 100), torch.arange(4), PENALTY)


def test_uncertainty_of_a_fit_covers_its_errors():
    activity, target, weights = recording(4, n_frames=4000)
    given = {"derivative": target.numpy(), "inputs": np.full(activity.shape, 0.5)}
    fit = fit_connectivity(activity.numpy(), dt=1.0, n_types=1, penalty=PENALTY, **given)
    found = connectivity_uncertainty(fit, activity.numpy(), **given)
    truth = weights.numpy() * (fit.connectivity * weights.numpy()).sum() / (weights**2).sum().item()
    edges = ~np.eye(len(truth), dtype=bool)
    low, high = found.interval(0.95)
    held = ((low < truth) & (truth < high))[edges]
    assert held.mean() > 0.85  # psi is learned, too, and the fit saw nine tenths of the frames
    assert np.abs(fit.connectivity - truth)[edges].max() < 6 * found.standard_error[edges].max()
    assert found.standard_error[edges].max() < 0.1 * np.abs(truth).max()
    narrow = found.interval(0.5)
    assert (narrow[0] > low)[edges].all()
    assert (narrow[1] < high)[edges].all()
