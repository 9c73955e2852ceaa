"""The recurrence of ELM neurons in three parts, each with a backend for every device.

``reference`` is plain PyTorch and defines what the others compute, ``eager`` is the same with a
faster gradient; ``numba`` runs on CPUs, ``triton`` on NVIDIA GPUs. What a fast backend cannot do,
the reference does.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from types import ModuleType

from torch import Tensor

from utils.models.elm.recurrence import eager, reference
from utils.models.elm.recurrence.events import Events, events_from_dense
from utils.models.elm.recurrence.fallback import transformed
from utils.models.elm.recurrence.reference import Layers

__all__ = [
    "BACKENDS",
    "Events",
    "filter_dense",
    "filter_inputs",
    "filter_synapses",
    "memory_recurrence",
]

BACKENDS = ("auto", "reference", "numba", "triton")
SPARSE = 0.05  # share of inputs that are not 0, up to which they are summed one by one
logger = logging.getLogger(__name__)


def filter_inputs(
    inputs: Tensor | Events, weights: Tensor, kappa: Tensor, initial: Tensor, backend: str = "auto"
) -> Tensor:
    """Weighted inputs, exponentially filtered; few spikes in dense inputs are summed one by one.

    Parameters
    ----------
    inputs : (batch, time, input), or the events in it.
    weights : (input, channel).
    kappa, initial : as of :func:`filter_dense`.

    Returns
    -------
    (batch, time, channel).
    """
    values = inputs.val if isinstance(inputs, Events) else inputs
    has_gradient = values is not None and (values.requires_grad or transformed(values))
    if has_gradient:
        chosen = reference  # the only one with a gradient of the sizes of events
    else:
        chosen = _choose("filter_events", backend, weights, kappa, initial)
    if isinstance(inputs, Events):
        return chosen.filter_events(inputs, weights, kappa, initial)
    if chosen is not reference and inputs.device.type == "cpu":
        events = events_from_dense(inputs, SPARSE)
        if events is not None:
            return chosen.filter_events(events, weights, kappa, initial)
    return filter_dense(inputs.to(weights.dtype) @ weights, kappa, initial, backend)


def filter_dense(drive: Tensor, kappa: Tensor, initial: Tensor, backend: str = "auto") -> Tensor:
    """See :func:`utils.models.elm.recurrence.reference.filter_dense`."""
    tensors = drive, kappa, initial
    chosen = _or_eager(_choose("filter_dense", backend, *tensors), *tensors)
    return chosen.filter_dense(drive, kappa, initial)


def memory_recurrence(
    inputs: Tensor,
    recurrent: Tensor,
    layers: Layers,
    keep: Tensor,
    gain: Tensor,
    initial: Tensor,
    activation: str,
    backend: str = "auto",
) -> Tensor:
    """See :func:`utils.models.elm.recurrence.reference.memory_recurrence`."""
    of_layers = (tensor for layer in layers for tensor in layer)
    tensors = inputs, recurrent, *of_layers, keep, gain, initial
    chosen = _or_eager(_choose("memory_recurrence", backend, *tensors), *tensors)
    return chosen.memory_recurrence(inputs, recurrent, layers, keep, gain, initial, activation)


def filter_synapses(
    inputs: Tensor,
    index: Tensor,
    weights: Tensor,
    kappa: Tensor,
    initial: Tensor,
    n_branches: int,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """See :func:`utils.models.elm.recurrence.reference.filter_synapses`."""
    chosen = _choose("filter_synapses", backend, inputs, weights, kappa, initial)
    return chosen.filter_synapses(inputs, index, weights, kappa, initial, n_branches)


def _choose(primitive: str, backend: str, *tensors: Tensor) -> ModuleType:
    """The module that computes ``primitive`` for these tensors."""
    if backend == "auto":
        device = tensors[0].device.type
        backend = {"cpu": "numba", "cuda": "triton"}.get(device, "reference")
    if backend == "reference":
        return reference
    module, reason = _fast_backend(backend)
    reason = reason or transformed(*tensors) or module.why_not(primitive, *tensors)
    if reason is None:
        return module
    _log_once(f"{primitive}: backend '{backend}' {reason}; the reference in PyTorch is used")
    return reference


def _or_eager(chosen: ModuleType, *tensors: Tensor) -> ModuleType:
    """The quicker gradient where that of the reference was chosen."""
    return eager if chosen is reference and eager.can(*tensors) else chosen


@cache
def _fast_backend(name: str) -> tuple[ModuleType | None, str | None]:
    """A backend's module, or the reason why there is none."""
    try:
        return import_module(f"utils.models.elm.recurrence.{name}_backend"), None
    except ImportError as error:
        return None, f"cannot be imported ({error})"


@cache
def _log_once(message: str) -> None:
    logger.info(message)
