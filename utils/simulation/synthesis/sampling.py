"""Parameters of sounds: at random, on a systematic grid, or from a Sobol sequence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from scipy.stats.qmc import Sobol

from utils.config import ConfigError, near_matches
from utils.simulation.synthesis.config import ParameterRange, SynthesiserConfig
from utils.simulation.synthesis.presets import synthesiser_config

Sampling = Literal["uniform", "grid", "sobol"]
Ranges = list[ParameterRange]
_GOLDEN = (math.sqrt(5) - 1) / 2


def draw_parameters(
    config: SynthesiserConfig | Mapping[str, Any] | str,
    n: int,
    sampling: Sampling = "uniform",
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Parameters of ``n`` sounds, ``{name: (n,)}`` float64; those that do not vary are repeated.

    ``uniform`` draws independent values, in NSMT's order: the same seed gives its data sets.
    ``grid`` walks over all combinations of steps in even strides, each once before any comes
    again; ``seed`` moves its start. ``sobol`` draws a scrambled Sobol sequence over the ranges.

    Raises
    ------
    ConfigError
        An unknown synthesiser or sampling, named.
    ValueError
        ``n`` below 0.
    """
    config = synthesiser_config(config)
    if sampling not in get_args(Sampling):
        raise ConfigError(f"no sampling '{sampling}'{near_matches(sampling, get_args(Sampling))}")
    if n < 0:
        raise ValueError(f"n must not be negative, found {n}")
    draw = {"uniform": _uniform, "grid": _grid, "sobol": _sobol}[sampling]
    drawn = draw(list(config.varying.values()), n, seed) if config.varying else np.empty((n, 0))
    values = dict(zip(config.varying, drawn.T))
    return {name: values.get(name, np.full(n, p.min)) for name, p in config.parameters.items()}


def _uniform(ranges: Ranges, n: int, seed: int) -> np.ndarray:
    return _scaled(ranges, np.random.RandomState(seed).uniform(size=(n, len(ranges))))


def _sobol(ranges: Ranges, n: int, seed: int) -> np.ndarray:
    # only whole powers of two are balanced; what lies beyond n is left out
    exponent = max(n - 1, 0).bit_length()
    sequence = Sobol(len(ranges), seed=np.random.default_rng(seed))
    return _scaled(ranges, sequence.random_base2(exponent)[:n])


def _grid(ranges: Ranges, n: int, seed: int) -> np.ndarray:
    """A stride near the golden section of the number of combinations spreads even a few over the
    grid; it shares no factor with that number, so that each combination comes once per round."""
    grids = [p.grid for p in ranges]
    total = math.prod(map(len, grids))
    stride = max(1, round(_GOLDEN * total))
    while math.gcd(stride, total) > 1:
        stride += 1
    start = int(np.random.default_rng(seed).integers(total))
    at = [(start + i * stride) % total for i in range(n)]  # Python's integers do not overflow
    columns = []
    for grid in reversed(grids):  # digits of the index, the last parameter's is the lowest
        columns.append(grid[[i % len(grid) for i in at]])
        at = [i // len(grid) for i in at]
    return np.stack(columns[::-1], axis=1)


def _scaled(ranges: Ranges, unit: np.ndarray) -> np.ndarray:
    low, high = np.array([(p.min, p.max) for p in ranges]).T
    return low + unit * (high - low)
