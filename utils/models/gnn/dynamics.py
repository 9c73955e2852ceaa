"""Run a message model through a window: Euler steps, or an ODE solver between frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchdiffeq import odeint, odeint_adjoint

from utils.models.gnn.config import NeuralODE
from utils.models.gnn.messages import MessageModel


def euler_steps(
    model: MessageModel,
    start: Tensor,
    inputs: Tensor | None,
    *,
    steps: int,
    dt: float,
    noise: float = 0.0,
) -> Tensor:
    """States after 1, 2, .., ``steps`` Euler steps.

    Parameters
    ----------
    start : (batch, neuron) state at the start.
    inputs : (batch, at least steps, neuron), of the frames from the start on.
    dt : time between frames.
    noise : sd of what is added to the state after each step but the last, whose error counts.

    Returns
    -------
    (batch, steps, neuron).
    """
    states, state = [], start
    for step in range(steps):
        if noise and step:
            state = state + noise * torch.randn_like(state)
        state = state + dt * model(state, None if inputs is None else inputs[:, step])
        states.append(state)
    return torch.stack(states, dim=1)


def integrate(
    model: MessageModel,
    start: Tensor,
    inputs: Tensor | None,
    *,
    steps: int,
    dt: float,
    scheme: NeuralODE,
) -> Tensor:
    """States at 1, 2, .., ``steps`` frames after the start, by the solver of ``scheme``.

    Solvers of fixed step take one step per frame. Shapes as in :func:`euler_steps`.
    """
    times = dt * torch.arange(steps + 1, device=start.device, dtype=start.dtype)
    rates = _Rates(model, inputs, dt, scheme.clamp)
    solver = {"method": scheme.method}
    if scheme.method == "dopri5":
        solver |= {"rtol": scheme.rtol, "atol": scheme.atol}
    solve = odeint_adjoint if scheme.adjoint else odeint
    return solve(rates, start, times, **solver)[1:].transpose(0, 1)


class _Rates(nn.Module):
    """The right-hand side; inputs are those of the frame that a time lies in."""

    def __init__(
        self, model: MessageModel, inputs: Tensor | None, dt: float, clamp: float | None
    ) -> None:
        super().__init__()
        self.model, self.inputs, self.dt, self.clamp = model, inputs, dt, clamp

    def forward(self, time: Tensor, state: Tensor) -> Tensor:
        if self.clamp is not None:
            state = state.clamp(-self.clamp, self.clamp)
        if self.inputs is None:
            return self.model(state)
        frame = int(time / self.dt + 1e-3)  # a frame's own time may be rounded down
        return self.model(state, self.inputs[:, min(frame, self.inputs.shape[1] - 1)])
