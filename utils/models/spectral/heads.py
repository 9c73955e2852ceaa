"""Heads: what a network says of one parameter each, as a class and in physical units."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import FiniteFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from utils.config import Config

ONE_OUTPUT = ("quantised", "regression")  # losses of heads that say a number, not classes


class ParameterLike(Protocol):
    """A parameter of a data set, such as :class:`utils.datasets.vimh.Parameter`."""

    name: str
    min: float
    step: float
    max: float

    @property
    def n_classes(self) -> int:
        """Classes of it."""


class Head(Config):
    """A parameter from ``minimum`` to ``maximum``, in its own unit; class k is k steps above."""

    name: str
    minimum: FiniteFloat
    maximum: FiniteFloat
    step: PositiveFloat
    n_classes: PositiveInt

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.maximum <= self.minimum or self.n_classes < 2:
            raise ValueError(
                f"head '{self.name}' needs minimum < maximum and 2 classes or more, found "
                f"{self.minimum} .. {self.maximum} and {self.n_classes}"
            )
        return self

    @property
    def range(self) -> float:
        """Maximum - minimum."""
        return self.maximum - self.minimum

    @property
    def distance(self) -> float:
        """Range / (classes - 1): physical distance of two classes in losses."""
        return self.range / (self.n_classes - 1)

    @property
    def class_values(self) -> NDArray[np.float64]:
        """(class,) physical values."""
        return self.minimum + self.step * np.arange(self.n_classes)


class HeadPrediction(NamedTuple):
    """What a model says of one parameter."""

    classes: NDArray[np.int64]  # (sample,)
    values: NDArray[np.float64]  # (sample,) physical
    probabilities: NDArray[np.float32] | None  # (sample, class); None: a head with one output


def heads_of(parameters: Iterable[ParameterLike]) -> tuple[Head, ...]:
    """A head for each parameter of a data set."""
    return tuple(
        Head(name=p.name, minimum=p.min, maximum=p.max, step=p.step, n_classes=p.n_classes)
        for p in parameters
    )


def n_outputs(head: Head, loss: str) -> int:
    """Outputs of a head that is trained with a loss."""
    return 1 if loss in ONE_OUTPUT else head.n_classes


def read_head(head: Head, loss: str, outputs: Tensor) -> HeadPrediction:
    """Outputs (sample, n_outputs) as classes and physical values.

    Heads with classes name the most probable one, and its value. Of the others, ``quantised`` says
    a place between the classes, ``regression`` one between the ends of the range; their class is
    the nearest.
    """
    outputs = outputs.detach().float().cpu()
    if loss not in ONE_OUTPUT:
        classes = outputs.argmax(dim=1).numpy()
        return HeadPrediction(classes, head.class_values[classes], outputs.softmax(dim=1).numpy())
    number = outputs[:, 0].double()
    if loss == "quantised":
        values = head.minimum + head.step * number.clamp(0, head.n_classes - 1)
    else:
        values = head.minimum + head.range * torch.sigmoid(number)
    places = ((values - head.minimum) / head.step).round().clamp(0, head.n_classes - 1)
    return HeadPrediction(places.long().numpy(), values.numpy(), None)
