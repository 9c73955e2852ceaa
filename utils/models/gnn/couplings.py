"""Who foretells what reaches whom: W of a recording, from series of messages and of inputs.

The series are all that W rests on. Half of their frames give the W of that half; inputs of another
time give a W that is chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from utils.models.forecasting.shared_series import inverse_deviation
from utils.models.gnn.solver import Rows, solve_rows, squared_error
from utils.models.gnn.statistics import Statistics

SILENT = 1e-9  # mean square of the messages of a neuron that sends none
RIDGE = 1e-6  # of behaviour, in units of its variance: covariates may be copies of each other


class Seen(NamedTuple):
    """A block of the recording, window after window."""

    activity: Tensor  # (window, neuron), indicator removed, at the last frame of the past
    inputs: Tensor  # (window, neuron), per second, what would explain the second that follows
    behaviour: Tensor  # (window, covariate), standardised


class Drive(NamedTuple):
    """What neurons sent, and what reached them; what behaviour says is taken out of both."""

    messages: Tensor  # (window, neuron); 0 of a silent neuron
    inputs: Tensor  # (window, neuron), per second

    def part(self, windows: slice) -> Drive:
        """Some of the windows."""
        return Drive(self.messages[windows], self.inputs[windows])

    def shifted(self, windows: int) -> Drive:
        """With the inputs of another time: moved on, and from the end to the beginning."""
        return Drive(self.messages, self.inputs.roll(windows, dims=0))

    def gram(self) -> Tensor:
        """Mean products of messages, (neuron, neuron) float64."""
        return (self.messages.mT @ self.messages).double() / len(self.messages)

    def statistics(self, gram: Tensor | None = None) -> Statistics:
        """Means of products; a neuron's only column of its own is its own message.

        ``gram`` is that of the messages, where it is known.
        """
        gram = self.gram() if gram is None else gram
        sent, reached = self
        cross = (sent.mT @ reached).double() / len(sent)
        own_square = gram.diagonal().clamp(min=SILENT)
        squares = reached.double().square().mean(dim=0)
        own = torch.stack([own_square, cross.diagonal(), cross.diagonal(), squares], dim=1)
        return Statistics(gram, torch.stack([gram, cross], dim=2), own.view(-1, 2, 2), len(sent))


class Route(NamedTuple):
    """From a block to the series that W explains, with constants of the training block."""

    slope: Tensor  # (neuron,), psi(u) = unit * tanh(slope * u)
    unit: Tensor  # (neuron,)
    sent_in_common: Tensor  # (1 + covariate, neuron), what behaviour says of messages
    reached_in_common: Tensor  # (1 + covariate, neuron), what it says of inputs

    @classmethod
    def of(cls, seen: Seen, bend: float) -> Self:
        """``bend`` is the activity at which psi bends, in standard deviations of the sender's."""
        slope = inverse_deviation(seen.activity.std(dim=0)) / bend
        bent = torch.tanh(slope * seen.activity)
        unit = inverse_deviation(bent.std(dim=0))
        common = (_on_behaviour(seen.behaviour, each) for each in (unit * bent, seen.inputs))
        return cls(slope, unit, *common)

    def psi(self, activity: Tensor) -> Tensor:
        """Messages (..., neuron): standard deviation 1, and 0 at no activity."""
        return self.unit * torch.tanh(self.slope * activity)

    def messages(self, activity: Tensor, behaviour: Tensor) -> Tensor:
        """What behaviour does not say."""
        return self.psi(activity) - with_constant(behaviour) @ self.sent_in_common

    def drive(self, seen: Seen) -> Drive:
        """The series of a block."""
        common = with_constant(seen.behaviour) @ self.reached_in_common
        return Drive(self.messages(seen.activity, seen.behaviour), seen.inputs - common)


def solve_couplings(drive: Drive, ridge: float, gram: Tensor | None = None) -> Rows:
    """W [to, from] with zero diagonal, and the weight of each neuron's own message.

    ``ridge`` is in units of the mean variance of the messages; ``gram`` as in
    :meth:`Drive.statistics`.
    """
    solution = solve_rows(drive.statistics(gram), torch.arange(drive.inputs.shape[1]), ridge)
    solution.connectivity.fill_diagonal_(0.0)  # it is, but for rounding
    return solution


def errors_left(train: Drive, validation: Drive, ridges: Sequence[float]) -> list[float]:
    """Share of the validation inputs' squares that W of the training block leaves, for each ridge.

    Mean over the neurons that anything reaches.
    """
    learnt, checked = train.statistics(), validation.statistics()
    rows, total = torch.arange(len(learnt.own)), checked.own[:, -1, -1]
    reached = total > 0
    errors = (squared_error(checked, solve_rows(learnt, rows, ridge)) for ridge in ridges)
    return [float((error[reached] / total[reached]).mean()) for error in errors]


def with_constant(behaviour: Tensor) -> Tensor:
    """A column of ones before the covariates."""
    return torch.cat([behaviour.new_ones(len(behaviour), 1), behaviour], dim=1)


def _on_behaviour(behaviour: Tensor, series: Tensor) -> Tensor:
    """Least squares of series (window, neuron) on behaviour, (1 + covariate, neuron)."""
    columns = with_constant(behaviour).double()
    gram = columns.T @ columns
    gram.diagonal().add_(RIDGE * len(columns))
    return torch.linalg.solve(gram, columns.T @ series.double()).float()
