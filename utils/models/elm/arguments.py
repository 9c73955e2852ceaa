"""What the arguments of a neuron may be; each error names the argument."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real


def check_counts(least: int, **values: object) -> None:
    """Raise ValueError unless all are whole numbers from ``least`` on."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name} must be a whole number, at least {least}; found {value!r}")


def check_numbers(*, positive: bool = False, **values: object) -> None:
    """Raise ValueError unless all are finite numbers and not negative (``positive``: nor 0)."""
    wanted = "a positive number" if positive else "a number, at least 0"
    for name, value in values.items():
        number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value < 0 or (positive and value == 0):
            raise ValueError(f"{name} must be {wanted} and finite; found {value!r}")


def check_choices(allowed: Collection[object], **values: object) -> None:
    """Raise ValueError unless all are among ``allowed``."""
    for name, value in values.items():
        if value not in allowed:
            names = ", ".join(str(choice) for choice in allowed)
            raise ValueError(f"{name} must be one of {names}; found {value!r}")
