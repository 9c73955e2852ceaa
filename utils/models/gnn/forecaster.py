"""The connectivity model as a forecaster: ``dy_i/dt = phi_i(y_i) + sum_j W_ij psi(u_j) + I_i``.

In a recording at 5 frames per second y is a noisy calcium trace, and the derivatives of a
simulation are out of reach: between two frames noise changes most, what other neurons do hardly
anything. So the model is fitted in two steps, both in closed form.

- phi_i: the next frame from the memories of the neuron itself, a linear map.
- W: rolled out by itself, a neuron misses what it does next. The constant input that explains the
  miss of the next second best, a finite difference over that second, is the target. Messages
  psi(u_j) explain it, u_j being the activity of another neuron with the indicator removed; so does
  past behaviour. Ridge penalty, decay of the indicator and bend of psi are chosen on validation.

Forecasts are rolled out frame by frame. Behaviour stays as it was last seen for that second, and
counts as at its mean from then on: held longer it made forecasts worse.

A weight W_ij says that the activity of j foretells what i does, beyond what i's own past, the other
neurons and behaviour say. A synapse does that. A common source that was not recorded does it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from utils.models.forecasting.base import Forecaster, ForecasterConfig, fill_missing
from utils.models.forecasting.shared_series import PastCovariates, inverse_deviation
from utils.models.forecasting.simple import train_moments
from utils.models.gnn.couplings import (
    Drive,
    Route,
    Seen,
    errors_left,
    solve_couplings,
    with_constant,
)
from utils.models.gnn.observation import Observation, State
from utils.training import past_covariates

if TYPE_CHECKING:
    from utils.windows import WindowBatch, WindowData, WindowSplit

VALUES_AT_ONCE = 8_000_000  # of pasts in memory
TINY = 1e-6  # of a mean square: keeps the systems of silent neurons regular


class GNNConfig(ForecasterConfig):
    """What a neuron remembers, and what validation chooses from."""

    memories: PositiveInt = Field(
        5, description="exponential averages of a neuron's own past, 1 frame to half the context"
    )
    smoothing: PositiveFloat = Field(0.8, description="s, average of the activity that is sent")
    step: PositiveFloat = Field(1.0, description="s, over which inputs are looked for")
    indicator: list[NonNegativeFloat] = Field(
        [0.0, 1.5], min_length=1, description="s, decay times to try; 0: deconvolved activity"
    )
    bend: list[PositiveFloat] = Field(
        [1.0, 8.0], min_length=1, description="activity, in its deviations, where psi bends; to try"
    )
    ridge: list[PositiveFloat] = Field(
        [0.1, 1.0, 3.0, 10.0, 30.0, 100.0],
        min_length=1,
        description="penalties of W to try, in units of the variance of a message",
    )
    covariates: bool = Field(True, description="past behaviour and stimulus, where there are any")


class Choice(NamedTuple):
    """Settings chosen on the validation windows."""

    indicator: float
    bend: float
    ridge: float


class GNNForecaster(Forecaster):
    """Each neuron by itself, and what reaches it from the others.

    Once fitted it has ``connectivity`` (neuron, neuron) [to, from] with a zero diagonal, in
    standard deviations of the receiver's trace per second and per standard deviation of a message,
    and ``chosen``.
    """

    name = "gnn"
    Config = GNNConfig
    uses_population = True
    learnt = (
        "centre", "scale", "covariate_mean", "covariate_scale",
        "own", "choice", *Route._fields, "connectivity", "own_message",
    )  # fmt: skip

    @property
    def chosen(self) -> Choice:
        """What validation chose."""
        return Choice(*self.choice.tolist())

    def drive(self, data: WindowData) -> Drive:
        """Messages and inputs in the training windows of the recording fitted on."""
        self.check_data(data)
        (seen,) = self._seen(data.train, [self.chosen.indicator])
        return self._route.drive(seen)

    @property
    def _route(self) -> Route:
        return Route(*(getattr(self, name) for name in Route._fields))

    @property
    def _step(self) -> int:
        """Frames over which inputs are looked for."""
        fitted = self._fitted()
        return min(max(round(self.config.step * fitted.frame_rate), 1), fitted.horizon)

    def _fit(self, data: WindowData) -> None:
        centre, deviation = train_moments(data)
        self.centre, self.scale = centre.float(), inverse_deviation(deviation).float()
        known = PastCovariates.of(data, self.config.covariates)
        self.covariate_mean, self.covariate_scale = known
        self.own = self._own_maps(data.train)
        decays = self.config.indicator
        train, validation = (self._seen(split, decays) for split in (data.train, data.validation))
        errors = {}
        for (decay, *seen), bend in product(zip(decays, train, validation), self.config.bend):
            route = Route.of(seen[0], bend)
            left = errors_left(*map(route.drive, seen), self.config.ridge)
            errors |= {Choice(decay, bend, each): e for each, e in zip(self.config.ridge, left)}
        chosen = min(errors, key=errors.get)
        self.choice = torch.tensor(chosen, dtype=torch.float64)
        seen = train[decays.index(chosen.indicator)]
        route = Route.of(seen, chosen.bend)
        for name, part in route._asdict().items():
            setattr(self, name, part)
        solution = solve_couplings(route.drive(seen), chosen.ridge)
        self.connectivity = solution.connectivity.float()
        self.own_message = solution.own[:, 0].float()

    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        past, mask, covariates = (
            each if each is None else each.cpu() for each in (past, mask, covariates)
        )
        seen, route = self._behaviour(covariates, len(past)), self._route

        def inputs(state: State, frame: int) -> Tensor:
            behaviour = seen if frame < self._step else torch.zeros_like(seen)
            messages = route.messages(state.activity, behaviour)
            common = with_constant(behaviour) @ route.reached_in_common
            return common + messages @ self.connectivity.T + messages * self.own_message

        observation = self._observation(self.chosen.indicator)
        state = observation.state(self._standardised(past, mask))
        future = self._rolled_out(observation, state, self._fitted().horizon, inputs)
        return self.centre + torch.where(self.scale > 0, 1 / self.scale, 0.0) * future

    def _own_maps(self, split: WindowSplit) -> Tensor:
        """phi: from memories and a constant to the change per second, (neuron, memory + 1)."""
        observation = self._observation(self.config.indicator[0])  # memories are those of all
        products = torch.zeros(())
        for batch in _batches(split):
            state = observation.state(self._standardised(batch.past, batch.past_mask))
            following = self._standardised(batch.future[:, :1])[:, 0]
            change = self._fitted().frame_rate * (following - state.trace)[..., None]
            columns = torch.cat([state.memories, torch.ones_like(change), change], dim=2)
            if batch.future_mask is not None:
                columns = columns * batch.future_mask[:, 0, :, None]
            columns = columns.double().transpose(0, 1)  # (neuron, window, column)
            products = products + columns.mT @ columns
        system, sides = products[:, :-1, :-1], products[:, :-1, -1]
        level = system.diagonal(dim1=1, dim2=2).mean(dim=1, keepdim=True).clamp(min=TINY)
        system = system + TINY * torch.diag_embed(level.expand_as(sides))
        return torch.linalg.solve(system, sides).float()

    def _seen(self, split: WindowSplit, decays: Sequence[float]) -> list[Seen]:
        """A block, for each decay of the indicator."""
        observations = [self._observation(decay) for decay in decays]
        series = []
        for batch in _batches(split):
            past = self._standardised(batch.past, batch.past_mask)
            states = [observation.state(past) for observation in observations]
            inputs = self._missed(observations[0], states[0], batch)
            behaviour = self._behaviour(past_covariates(batch), len(batch))
            series.append((inputs, behaviour, *(state.activity for state in states)))
        inputs, behaviour, *activities = (torch.cat(parts) for parts in zip(*series))
        return [Seen(activity, inputs, behaviour) for activity in activities]

    def _missed(self, observation: Observation, state: State, batch: WindowBatch) -> Tensor:
        """The constant inputs (window, neuron) that explain the next frames best, per second.

        Least squares over the frames of ``step``; nothing where none of them was observed.
        """
        n = self._step
        alone = self._rolled_out(observation, state, n, lambda *_: 0.0)
        pushed = self._rolled_out(observation, state, n, lambda *_: 1.0)
        response = pushed - alone  # (window, frame, neuron), the same in all windows
        miss = self._standardised(batch.future[:, :n]) - alone
        seen = response if batch.future_mask is None else response * batch.future_mask[:, :n]
        return (miss * seen).sum(dim=1) / (seen * response).sum(dim=1).clamp(min=TINY)

    def _rolled_out(
        self,
        observation: Observation,
        state: State,
        n_frames: int,
        inputs: Callable[[State, int], Tensor | float],
    ) -> Tensor:
        """Standardised traces of the next frames, (batch, frame, neuron); Euler steps.

        ``inputs`` are per second, from the state before frame 0, 1, ...
        """
        traces = []
        for frame in range(n_frames):
            own = (state.memories * self.own[:, :-1]).sum(dim=2) + self.own[:, -1]
            rate = own + inputs(state, frame)
            state = observation.next(state, state.trace + rate / self._fitted().frame_rate)
            traces.append(state.trace)
        return torch.stack(traces, dim=1)

    def _observation(self, decay: float) -> Observation:
        fitted, config = self._fitted(), self.config
        return Observation.of(
            fitted.context, fitted.frame_rate, config.memories, config.smoothing, decay
        )

    def _standardised(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, frame, neuron); missing frames count as the mean of those that are there."""
        values = (values - self.centre) * self.scale
        return values if mask is None else fill_missing(torch.where(mask, values, 0.0), mask)

    def _behaviour(self, covariates: Tensor | None, n_windows: int) -> Tensor:
        """At the last frame of the past, (batch, covariate); none where none is used."""
        known = PastCovariates(self.covariate_mean, self.covariate_scale)
        if not len(known.mean):
            return torch.zeros(n_windows, 0)
        return known.window(covariates, self.name)[:, -1].float()


def _batches(split: WindowSplit) -> Iterator[WindowBatch]:
    """Windows in batches that need little memory."""
    return split.batches(max(VALUES_AT_ONCE // (split.data.window * split.data.n_neurons), 1))
