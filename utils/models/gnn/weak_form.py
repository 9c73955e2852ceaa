"""The equation of the network in its weak form: no derivative of a noisy trace is taken.

``du/dt = f(u)`` holds at each frame, hence averaged over a window with the weights of a test
function b that is 0 at both ends. Summation by parts moves the difference from u to b, which is
known without noise::

    sum_t b[t] (u[t+1] - u[t]) / dt  =  sum_t (b[t-1] - b[t]) / dt u[t]  =  sum_t b[t] f(u[t])

The first equality is exact, so nothing is lost where the trace has no noise and was made by Euler
steps. Test functions are bumps ``(1 - x^2)^degree`` as in weak SINDy (Messenger & Bortz 2021).
Windows start every ``stride`` frames, so that a fit has ``stride`` times fewer rows than frames.
"""

from __future__ import annotations

from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from utils.config import Config

Array = TypeVar("Array")  # a NumPy array or a tensor


class Bumps(Config):
    """Test functions, all alike, on windows that start every ``stride`` frames."""

    width: int = Field(16, ge=1, description="frames on which a test function is not 0")
    stride: int = Field(4, ge=1, description="frames between the starts of windows")
    degree: int = Field(2, ge=1, description="of (1 - x^2): higher, smoother and narrower")

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Values of the test function at the frames of a window, ``(width,)``; sum 1."""
        x = np.linspace(-1, 1, self.width + 2)[1:-1]
        bump = (1 - x**2) ** self.degree
        return bump / bump.sum()

    def n_windows(self, n_frames: int) -> int:
        """Windows in a recording: each needs ``width`` steps, that is ``width + 1`` frames."""
        return max((n_frames - 1 - self.width) // self.stride + 1, 0)

    def slopes(self, activity: Array, dt: float) -> Array:
        """Left side of the equation, from ``(time, ...)`` activity to ``(window, ...)``, per dt.

        NaN in windows with a missing frame.
        """
        differences = -np.diff(self.weights, prepend=0, append=0) / dt
        return self._project(activity, differences)

    def average(self, values: Array) -> Array:
        """What stands on the right side, ``(time, ...) -> (window, ...)``; rows go with `slopes`.

        ``values[t]`` is any function of ``activity[t]``, such as psi, or the input at that frame.
        """
        return self._project(values[:-1], self.weights)

    def _project(self, values: Array, weights: NDArray[np.float64]) -> Array:
        n_windows = (len(values) - len(weights)) // self.stride + 1
        if n_windows < 1:
            raise ValueError(
                f"the trace is shorter than a window of {self.width} frames and one more: "
                "choose a smaller width"
            )
        last = (n_windows - 1) * self.stride + 1
        return sum(
            float(weight) * values[frame : frame + last : self.stride]
            for frame, weight in enumerate(weights)
        )
