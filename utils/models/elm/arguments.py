"""What the arguments of a neuron may be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

from utils.models.elm.recurrence import BACKENDS
from utils.models.elm.recurrence.reference import ACTIVATIONS

Rule = tuple[str, Callable[[Any], bool]]  # in words, and as a test


def _whole(least: int) -> Rule:
    def test(value: Any) -> bool:
        return isinstance(value, Integral) and not isinstance(value, bool) and value >= least

    return f"a whole number, at least {least}", test


def _or_none(rule: Rule) -> Rule:
    words, test = rule
    return f"{words}, or None", lambda value: value is None or test(value)


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _one_of(choices: Sequence[Any]) -> Rule:
    return f"one of {', '.join(map(str, choices))}", lambda value: value in choices


POSITIVE = "a positive finite number", lambda value: _is_finite(value) and value > 0
NOT_NEGATIVE = "a finite number, at least 0", lambda value: _is_finite(value) and value >= 0
FLAG = _one_of((True, False))

RULES: dict[str, Rule] = {
    "num_input": _whole(1),
    "num_output": _whole(1),
    "num_memory": _whole(1),
    "num_branch": _whole(1),
    "num_synapse_per_branch": _whole(1),
    "mlp_num_layers": _whole(0),
    "mlp_hidden_size": _or_none(_whole(1)),
    "mlp_activation": _one_of(tuple(ACTIVATIONS)),
    "lambda_value": NOT_NEGATIVE,
    "memory_tau_min": NOT_NEGATIVE,
    "memory_tau_max": NOT_NEGATIVE,
    "learn_memory_tau": FLAG,
    "tau_s_value": NOT_NEGATIVE,
    "learn_synapse_tau": FLAG,
    "tau_b_value": NOT_NEGATIVE,
    "learn_branch_tau": FLAG,
    "w_s_value": POSITIVE,  # at 0 a synapse has no gradient
    "delta_t": POSITIVE,
    "routing_seed": _whole(0),
    "backend": _one_of(BACKENDS),
}


def check_arguments(neuron: object) -> None:
    """Raise ValueError for an attribute that breaks its rule, by name, as far as it has them."""
    for name, (words, test) in RULES.items():
        if hasattr(neuron, name) and not test(getattr(neuron, name)):
            raise ValueError(f"{name} must be {words}; found {getattr(neuron, name)!r}")
