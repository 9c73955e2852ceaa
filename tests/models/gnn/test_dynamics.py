"""Euler steps and ODE solvers against solutions that are known."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from utils.models.gnn.config import MessageConfig, NeuralODE, OdeMethod
from utils.models.gnn.dynamics import euler_steps, integrate
from utils.models.gnn.messages import MessageModel

DT, STEPS = 0.05, 10


class Decay(nn.Module):
    """du/dt = -2 u + I."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def forward(self, activity: Tensor, inputs: Tensor | None = None) -> Tensor:
        return -self.rate * activity + (0 if inputs is None else inputs)


def start() -> Tensor:
    return torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)


def test_euler_steps_by_hand():
    states = euler_steps(Decay(), start(), None, steps=3, dt=DT)
    expected = [start() * 0.9**step for step in (1, 2, 3)]
    torch.testing.assert_close(states, torch.stack(expected, dim=1))


def test_euler_steps_take_the_input_of_their_frame():
    inputs = torch.tensor([1.0, 2.0], dtype=torch.float64)[None, :, None].expand(2, 2, 2)
    states = euler_steps(Decay(), start(), inputs, steps=2, dt=DT)
    first = 0.9 * start() + DT * 1
    torch.testing.assert_close(states, torch.stack([first, 0.9 * first + DT * 2], dim=1))


def test_noise_enters_between_steps():
    def noisy(steps: int) -> Tensor:
        torch.manual_seed(0)
        return euler_steps(Decay(), start(), None, steps=steps, dt=DT, noise=0.1)

    assert torch.equal(noisy(1), euler_steps(Decay(), start(), None, steps=1, dt=DT))
    difference = noisy(3) - euler_steps(Decay(), start(), None, steps=3, dt=DT)
    assert not difference[:, 0].any()
    assert difference[:, 1:].all()


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize(
    ("method", "error"),
    [("euler", 0.06), ("midpoint", 2e-3), ("heun3", 1e-4), ("rk4", 2e-6), ("dopri5", 1e-5)],
)
def test_solvers_reach_the_exact_solution(method, error, adjoint):
    scheme = NeuralODE(method=method, adjoint=adjoint, rtol=1e-6, atol=1e-7)
    model = Decay()
    states = integrate(model, start(), None, steps=STEPS, dt=DT, scheme=scheme)

    times = DT * torch.arange(1, STEPS + 1, dtype=torch.float64)
    exact = start()[:, None] * torch.exp(-2 * times)[:, None]
    assert states.shape == (2, STEPS, 2)
    assert (states - exact).abs().max() < error

    states[:, -1].sum().backward()
    slope = -(times[-1] * exact[:, -1]).sum()  # of the last states by the rate
    assert float(model.rate.grad) == pytest.approx(float(slope), rel=0.2 if error > 0.01 else 1e-2)


def test_the_solver_euler_is_euler():
    inputs = torch.randn(2, STEPS, 2, dtype=torch.float64)
    scheme = NeuralODE(method="euler")
    solved = integrate(Decay(), start(), inputs, steps=STEPS, dt=DT, scheme=scheme)
    stepped = euler_steps(Decay(), start(), inputs, steps=STEPS, dt=DT)
    torch.testing.assert_close(solved, stepped)


@pytest.mark.parametrize("method", get_args(OdeMethod))
def test_solvers_train_message_models_with_inputs(method):
    torch.manual_seed(0)
    model = MessageModel(4, MessageConfig(hidden=8))
    inputs = torch.randn(3, STEPS + 1, 4)
    states = integrate(
        model, torch.randn(3, 4), inputs, steps=STEPS, dt=DT, scheme=NeuralODE(method=method)
    )
    states[:, -1].square().sum().backward()
    assert states.isfinite().all()
    assert model.weights.values.grad.any()


def test_clamp_bounds_what_the_model_sees():
    growing = Decay()
    growing.rate.data.fill_(-30.0)
    free = NeuralODE(method="euler")
    held = free.model_copy(update={"clamp": 1.0})
    window = {"steps": STEPS, "dt": DT}
    assert integrate(growing, start(), None, scheme=free, **window).abs().max() > 1e3
    states = integrate(growing, start(), None, scheme=held, **window)
    torch.testing.assert_close(states[1, :, 1], 3 + 30 * DT * torch.arange(1, 11).double())
