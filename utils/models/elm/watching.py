"""Look into an ELM neuron while the network around it works, without leaving a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from utils.models.elm.base import ELM, ELMTrace
from utils.models.elm.recurrence import Events
from utils.models.elm.recurrence.reference import TANH_SCALE
from utils.training import TrainingTask

SATURATED = 0.95  # size of a tanh that hardly passes a gradient any more


class Watched(NamedTuple):
    """What a task did with a batch."""

    neuron: ELM
    inputs: Tensor | Events  # of the neuron
    trace: ELMTrace
    outputs: Tensor  # (batch, time, output) of the whole network

    def dense_inputs(self, samples: slice) -> Tensor:
        """(sample, time, input) of some samples of the batch."""
        if isinstance(self.inputs, Events):
            idx, ptr, val = self.inputs
            return Events(idx, ptr[samples], val).dense(self.neuron.num_input)
        return self.inputs[samples]

    def saturation(self) -> Tensor:
        """Share of updates of each memory unit whose tanh is near its bound, (memory,).

        The updates are what the memory holds beyond what it kept, from the second frame on.
        """
        memory, kappa, gain = (
            values.cpu().double()  # not all devices have doubles
            for values in (self.trace.memory, self.neuron.kappa_m, self.neuron.gain)
        )
        update = memory[:, 1:] - kappa * memory[:, :-1]
        tanh = update / (gain * TANH_SCALE)
        return (tanh.abs() > SATURATED).double().mean(dim=(0, 1))


def find_elm(module: nn.Module) -> ELM | None:
    """The first ELM neuron in a network or task; None without one."""
    return next((part for part in module.modules() if isinstance(part, ELM)), None)


def watch(task: TrainingTask, batch: Any) -> Watched:
    """What the first ELM neuron of a task, and the task's network, do with a batch.

    The task computes its losses as in validation; gradients, modes of the modules and random
    numbers stay as they were.

    Raises
    ------
    RuntimeError
        The losses did not ask the neuron.
    """
    neuron, network = find_elm(task), task.network
    with _aside(task), _noted(neuron, "run") as runs:
        with _noted(network, "forward", "forward_events") as answers:
            task.losses(batch)
        if not runs:
            raise RuntimeError(f"{type(task).__name__}.losses did not run its ELM neuron")
    (inputs, *_), trace = runs[0]
    return Watched(neuron, inputs, trace, answers[0][1] if answers else trace.output)


def synaptic_weights(neuron: ELM) -> np.ndarray:
    """(branch, synapse) weights, NaN where a synapse is not connected."""
    weights = neuron.w_s.detach().clone()
    if neuron.input_to_synapse_routing is not None:
        weights[~neuron.valid_indices_mask.bool()] = torch.nan
    return to_numpy(weights.unflatten(0, (neuron.num_branch, -1)))


def to_numpy(values: Tensor) -> np.ndarray:
    """float32, whatever the precision and the device of the training."""
    return values.detach().float().cpu().numpy()


@contextmanager
def _aside(task: TrainingTask) -> Iterator[None]:
    """Evaluation without gradients; modes and random numbers are put back."""
    training = {module: module.training for module in task.modules()}
    devices = [task.device] if task.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            task.eval()
            yield
    finally:
        for module, mode in training.items():
            module.training = mode


@contextmanager
def _noted(module: nn.Module, *methods: str) -> Iterator[list[tuple[tuple, Any]]]:
    """Arguments and results of calls of a module's methods, as far as it has these."""
    calls: list[tuple[tuple, Any]] = []

    def noting(method: Callable) -> Callable:
        def noted(*arguments: Any, **named: Any) -> Any:
            result = method(*arguments, **named)
            calls.append(((*arguments, *named.values()), result))
            return result

        return noted

    with ExitStack() as stack:
        for name in methods:
            if hasattr(module, name):
                setattr(module, name, noting(getattr(module, name)))
                stack.callback(delattr, module, name)
        yield calls
