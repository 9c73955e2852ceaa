"""W from series of messages and inputs: exact where it must be, blind to what is not there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.models.gnn.couplings import (
    Drive,
    Route,
    Seen,
    errors_left,
    solve_couplings,
    with_constant,
)

N = 6


def weights():
    found = torch.randn(N, N, generator=torch.Generator().manual_seed(1))
    return found.fill_diagonal_(0.0)


def drive(noise: float = 0.0, n: int = 2000, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    messages = torch.randn(n, N, generator=generator)
    inputs = messages @ weights().T + noise * torch.randn(n, N, generator=generator)
    return Drive(messages, inputs)


def test_finds_weights_without_noise_and_leaves_the_diagonal_empty():
    found = solve_couplings(drive(), 1e-9)
    torch.testing.assert_close(found.connectivity.float(), weights(), atol=1e-4, rtol=0)
    assert (found.connectivity.diagonal() == 0).all()


def test_own_messages_have_a_weight_of_their_own():
    one = drive()
    found = solve_couplings(Drive(one.messages, one.inputs + 2 * one.messages), 1e-9)
    torch.testing.assert_close(found.own[:, 0].float(), torch.full((N,), 2.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.connectivity.float(), weights(), atol=1e-4, rtol=0)


def test_is_the_ridge_estimate():
    """Row by row against the normal equations, the own message free of penalty."""
    one, ridge = drive(noise=1.0, n=200), 0.3
    found = solve_couplings(one, ridge).connectivity
    sent, reached = one.messages.double().numpy(), one.inputs.double().numpy()
    level = ridge * (sent**2).mean()
    for row in range(N):
        penalty = np.full(N, level * len(sent))
        penalty[row] = 0.0
        expected = np.linalg.solve(sent.T @ sent + np.diag(penalty), sent.T @ reached[:, row])
        expected[row] = 0.0
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


def test_silent_neurons_send_and_receive_nothing():
    one = drive(noise=0.1)
    one.messages[:, 2] = one.inputs[:, 2] = 0.0
    found = solve_couplings(one, 0.1)
    assert torch.isfinite(found.connectivity).all()
    assert torch.isfinite(found.own).all()
    assert (found.connectivity[:, 2] == 0).all()
    assert (found.connectivity[2] == 0).all()


def test_inputs_of_another_time_give_chance():
    one = drive(noise=0.1)
    strong, weak = (
        solve_couplings(each, 0.01).connectivity.abs().mean() for each in (one, one.shifted(700))
    )
    assert weak < 0.15 * strong
    moved = one.shifted(3)
    torch.testing.assert_close(moved.inputs[3:], one.inputs[:-3])
    torch.testing.assert_close(moved.inputs[:3], one.inputs[-3:])


def test_validation_prefers_a_large_penalty_where_there_is_little_to_learn():
    ridges = [1e-3, 1.0, 100.0]
    clear = errors_left(drive(0.1), drive(0.1, seed=5), ridges)
    vague = errors_left(drive(30.0, n=100), drive(30.0, seed=5), ridges)
    assert int(np.argmin(clear)) == 0
    assert int(np.argmin(vague)) == 2
    assert clear[0] < 0.05 < 0.9 < vague[2] < 1.1


def test_errors_do_not_count_neurons_that_nothing_reaches():
    train, validation = drive(0.1), drive(0.1, seed=5)
    validation.inputs[:, 1] = 0.0
    assert errors_left(train, validation, [0.01])[0] < 0.05


def seen(n: int = 3000):
    """Messages and inputs that one covariate drives together; neuron 2 is silent."""
    generator = torch.Generator().manual_seed(0)
    behaviour = torch.randn(n, 1, generator=generator)
    activity = behaviour + 0.5 * torch.randn(n, N, generator=generator)
    inputs = 3 * behaviour + 0.1 * torch.randn(n, N, generator=generator) + 1.0
    activity[:, 2] = 0.0
    return Seen(activity, inputs, behaviour)


def test_psi_has_unit_deviation_and_passes_through_zero():
    one = seen()
    route = Route.of(one, bend=1.0)
    sent = route.psi(one.activity)
    heard = torch.arange(N) != 2
    torch.testing.assert_close(sent.std(dim=0)[heard], torch.ones(N - 1), atol=1e-4, rtol=0)
    assert (sent[:, 2] == 0).all()
    assert (route.psi(torch.zeros(1, N)) == 0).all()
    assert (route.psi(torch.ones(1, N))[:, heard] > 0).all()


def test_a_large_bend_is_a_line():
    one = seen()
    sent = Route.of(one, bend=1e4).psi(one.activity)[:, 0]
    assert np.corrcoef(sent, one.activity[:, 0])[0, 1] == pytest.approx(1, abs=1e-6)


def test_what_behaviour_says_is_taken_out():
    one = seen()
    route = Route.of(one, bend=1.0)
    found = solve_couplings(route.drive(one), 0.01).connectivity
    blind = Seen(one.activity, one.inputs, one.behaviour[:, :0])
    fooled = solve_couplings(Route.of(blind, 1.0).drive(blind), 0.01).connectivity
    assert found.abs().max() < 0.02
    assert fooled.abs().max() > 0.3


def test_a_column_of_ones_also_without_covariates():
    assert with_constant(torch.zeros(4, 0)).tolist() == [[1.0]] * 4
