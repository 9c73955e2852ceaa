"""Synthesis parameters as VIMH stores them: one byte each, read as a class or a physical value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVELS = 255  # the largest code
STEPS_WITHOUT_STEP = 16  # steps of a parameter that does not say how large its steps are


@dataclass(frozen=True)
class Parameter:
    """A parameter that varies, and so has a head of its own.

    ``min`` and ``max`` are in the parameter's own unit, ``step`` is the distance of two classes;
    where the file has no step, a sixteenth of the range.
    """

    name: str
    min: float
    step: float
    max: float
    description: str = ""

    @property
    def n_classes(self) -> int:
        """Classes from ``min`` to ``max``, both included."""
        return count_classes(self.min, self.max, self.step)

    @property
    def class_values(self) -> NDArray[np.float64]:
        """(class,) physical value of each class; the last may lie beyond ``max``."""
        return self.min + self.step * np.arange(self.n_classes)


def default_step(minimum: float, maximum: float) -> float:
    """Step of a parameter that names none."""
    return (maximum - minimum) / STEPS_WITHOUT_STEP


def quantise(values: ArrayLike, minimum: float, maximum: float) -> NDArray[np.uint8]:
    """Codes of physical values, truncated as the format has it; values beyond the range are cut.

    Raises
    ------
    ValueError
        Values that are not finite, or a range without extent.
    """
    values = np.asarray(values, float)
    _check_range(minimum, maximum)
    if not np.isfinite(values).all():
        raise ValueError("values to quantise must be finite")
    shares = (values - minimum) / (maximum - minimum)
    return np.trunc(LEVELS * shares).clip(0, LEVELS).astype(np.uint8)


def dequantise(codes: ArrayLike, minimum: float, maximum: float) -> NDArray[np.float64]:
    """Physical values that codes 0..255 stand for."""
    _check_range(minimum, maximum)
    return minimum + np.asarray(codes) / LEVELS * (maximum - minimum)


def count_classes(minimum: float, maximum: float, step: float) -> int:
    """Number of classes of a parameter, both ends included.

    Raises
    ------
    ValueError
        A range without extent, or a step that is not positive.
    """
    _check_range(minimum, maximum)
    if not 0 < step < np.inf:
        raise ValueError(f"step must be positive, found {step}")
    return 1 + round((maximum - minimum) / step)


def class_index(
    values: ArrayLike, minimum: float, maximum: float, step: float | None = None
) -> NDArray[np.int64]:
    """Class of physical values: the nearest step, half to even, kept within the classes.

    A label in a file is the class of its dequantised code.
    """
    step = default_step(minimum, maximum) if step is None else step
    last = count_classes(minimum, maximum, step) - 1
    places = np.rint((np.asarray(values, float) - minimum) / step)
    return places.clip(0, last).astype(np.int64)


def _check_range(minimum: float, maximum: float) -> None:
    if not -np.inf < minimum < maximum < np.inf:
        raise ValueError(f"expected a finite range with min < max, found {minimum} .. {maximum}")
