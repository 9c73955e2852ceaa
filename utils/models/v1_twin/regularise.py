"""Regularisers of a training, each with a schedule: penalties of the loss, and steps after it.

``{type: l1, parameters: "readouts.*.features", strength: 1.0e-7, from_epoch: 30}`` in YAML.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, model_validator
from torch import Tensor, nn

from utils.config import Config, ConfigError, near_matches


class Scheduled(Config):
    """Which parameters are held, and when."""

    parameters: str = Field(description="a pattern of their names, as of files: readouts.*.std")
    from_epoch: NonNegativeInt = 0
    until_epoch: NonNegativeInt | None = Field(None, description="first epoch without it")
    ramp_epochs: NonNegativeInt = Field(0, description="from nothing to all, from from_epoch on")

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Scheduled:
        if self.until_epoch is not None and self.until_epoch <= self.from_epoch:
            raise ValueError(
                f"until_epoch {self.until_epoch} must be later than from_epoch {self.from_epoch}"
            )
        return self

    def progress(self, epoch: int) -> float | None:
        """Share of the ramp that is done, 1 after it; None where nothing is held."""
        since = epoch - self.from_epoch
        if since < 0 or (self.until_epoch is not None and epoch >= self.until_epoch):
            return None
        return min(since / self.ramp_epochs, 1.0) if self.ramp_epochs else 1.0

    def penalty(self, values: Tensor) -> Tensor | float:
        """What a parameter adds to the loss at full strength."""
        return 0.0

    def correct(self, values: Tensor, progress: float, learning_rate: float) -> None:
        """Change a parameter in place after a step of the optimiser."""


class L1(Scheduled):
    """Strength times the sum of absolute values."""

    type: Literal["l1"] = "l1"
    strength: NonNegativeFloat

    def penalty(self, values: Tensor) -> Tensor:
        """See the class."""
        return self.strength * values.abs().sum()


class L2(Scheduled):
    """Strength times the sum of squares."""

    type: Literal["l2"] = "l2"
    strength: NonNegativeFloat

    def penalty(self, values: Tensor) -> Tensor:
        """See the class."""
        return self.strength * values.square().sum()


class GroupLasso(Scheduled):
    """Strength times the sum of the groups' norms, which switches off groups as a whole.

    A group is one entry of ``axis``: an output channel of a convolution, a cell's features.
    """

    type: Literal["group_lasso"] = "group_lasso"
    strength: NonNegativeFloat
    axis: int = 0

    def penalty(self, values: Tensor) -> Tensor:
        """See the class."""
        groups = values.movedim(self.axis, 0).reshape(values.shape[self.axis], -1)
        return self.strength * torch.linalg.vector_norm(groups, dim=1).sum()


class ProximalL1(Scheduled):
    """The L1 penalty's own step after each step of the optimiser; it gives exact zeros."""

    type: Literal["proximal_l1"] = "proximal_l1"
    strength: NonNegativeFloat

    def correct(self, values: Tensor, progress: float, learning_rate: float) -> None:
        """Move towards 0 by the learning rate times the strength, no further than 0."""
        step = progress * learning_rate * self.strength
        values.sub_(values.clamp(-step, step))


class Clamp(Scheduled):
    """Bounds that move linearly, over ``ramp_epochs``, from their first to their second value."""

    type: Literal["clamp"] = "clamp"
    lower: tuple[float, float] | None = None
    upper: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Clamp:
        if self.lower is None and self.upper is None:
            raise ValueError("clamp needs 'lower' or 'upper': [value at first, value after ramp]")
        return self

    def correct(self, values: Tensor, progress: float, learning_rate: float) -> None:
        """Bring values within the bounds."""
        bounds = (
            None if ends is None else ends[0] + progress * (ends[1] - ends[0])
            for ends in (self.lower, self.upper)
        )
        values.clamp_(*bounds)


Regulariser = Annotated[L1 | L2 | GroupLasso | ProximalL1 | Clamp, Field(discriminator="type")]


class Regularisers:
    """The regularisers of a training with the parameters that they hold.

    Raises
    ------
    ConfigError
        A pattern that is no parameter's.
    """

    def __init__(self, configs: Iterable[Regulariser], network: nn.Module) -> None:
        parameters = dict(network.named_parameters())
        self._held = [(config, _matching(parameters, config)) for config in configs]

    def penalty(self, epoch: int) -> Tensor | float:
        """What is added to the loss of training."""
        terms = (
            progress * config.penalty(values)
            for config, progress, held in self._active(epoch)
            for values in held
        )
        return sum(terms, start=0.0)

    @torch.no_grad()
    def correct(self, epoch: int, optimizer: torch.optim.Optimizer) -> None:
        """After each step of the optimiser."""
        rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
        for config, progress, held in self._active(epoch):
            for values in held:
                config.correct(values, progress, rates.get(id(values), 0.0))

    def _active(self, epoch: int) -> Iterator[tuple[Regulariser, float, list[nn.Parameter]]]:
        for config, held in self._held:
            progress = config.progress(epoch)
            if progress is not None:
                yield config, progress, held


def _matching(parameters: dict[str, nn.Parameter], config: Regulariser) -> list[nn.Parameter]:
    """Parameters that match and are trained."""
    found = [values for name, values in parameters.items() if fnmatchcase(name, config.parameters)]
    if not found:
        raise ConfigError(
            f"regulariser '{config.type}': no parameter is called '{config.parameters}'"
            f"{near_matches(config.parameters, list(parameters))}"
        )
    return [values for values in found if values.requires_grad]
