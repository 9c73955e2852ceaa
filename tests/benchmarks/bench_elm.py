"""A training step of an ELM neuron against the equations as a compiled loop, on 2 CPU cores.

1278 inputs, 45 branches of 100 synapses, spikes in 0.5 % of all entries, float32; a step is the
forward pass, the sum of the squared outputs, and its gradients. Peers: the loop over time in
TorchScript (three warm-ups), our own formulas in plain PyTorch (``backend="reference"``) and, where
it is installed (extra ``bench``), JAX with one jitted ``lax.scan``, as the equations stand and
hoisted as ours. Each must yield what the TorchScript loop yields. All run in this process and take
turns; medians. Memory is the resident set's high-water mark over what is there before a step. The
loader gathers windows of a small simulated NeuronIO file, in the training process.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tests.benchmarks.elm_peers import StepByStepV1, StepByStepV2
from utils.datasets.neuronio import NeuronIODataModule, convert_neuronio, write_neuronio_like
from utils.models.elm import ELMv1, ELMv2
from utils.models.elm.recurrence import Events

NEURONIO = {
    "num_input": 1278,
    "num_output": 2,
    "num_branch": 45,
    "num_synapse_per_branch": 100,
    "input_to_synapse_routing": "neuronio_routing",
    "memory_tau_max": 150.0,
}
DENSITY = 0.005
LOOP, REFERENCE, EVENTS, SPIKES, NUMBERS = "loop", "reference", "events", "spikes", "numbers"
JAX_LOOP, JAX_HOISTED = "JAX, loop", "JAX, hoisted"
COLUMNS = [REFERENCE, EVENTS, SPIKES, NUMBERS, JAX_LOOP, JAX_HOISTED]

Step = Callable[[], tuple]  # trains once; outputs and gradients by name, as arrays of any library


class Setting(NamedTuple):
    """A row of the table."""

    version: int
    num_memory: int
    batch: int
    time: int


SETTINGS = [
    Setting(1, 15, 8, 500),
    Setting(1, 20, 8, 500),
    Setting(1, 100, 8, 500),
    Setting(1, 20, 64, 500),
    Setting(1, 100, 64, 500),
    Setting(1, 15, 8, 2000),
    Setting(2, 15, 8, 500),
]


def main(turns: int = 3) -> None:
    """Print one row per setting: ms of a step and how many times faster than the loop it is."""
    if find_spec("jax") is None:
        print("JAX is not installed, its columns stay empty: pip install -e '.[bench]'\n")
    print(
        "| ELM | d_m | batch | steps | loop, ms | plain PyTorch | ours, event lists "
        "| ours, dense spikes | ours, dense numbers | JAX, loop | JAX, hoisted "
        "| loop, MB | ours, MB | loader, ms (of a step) |\n" + "|---" * 14 + "|"
    )
    with two_cores(), tempfile.TemporaryDirectory() as folder:
        native = write_neuronio_like(Path(folder) / "simulated.p", n_simulations=9)
        convert_neuronio(native, folder, progress=False)
        for setting in SETTINGS:
            contestants = _contestants(setting)
            times = _take_turns(contestants, turns)
            memory = [f"{_added_megabytes(contestants[name]):,.0f}" for name in (LOOP, EVENTS)]
            cells = [_cell(times, name) for name in COLUMNS]
            loader = _loader_milliseconds(folder, setting)
            share = f"{loader:.2f} ({loader / times[EVENTS]:.0%})"
            version, *sizes = setting
            row = [f"v{version}", *sizes, f"{times[LOOP]:,.0f}", *cells, *memory, share]
            print(f"| {' | '.join(map(str, row))} |", flush=True)


def _cell(times: dict[str, float], name: str) -> str:
    return f"{times[name]:,.1f} ({times[LOOP] / times[name]:,.1f}x)" if name in times else "-"


def _contestants(setting: Setting) -> dict[str, Step]:
    """Training steps by column, all on the same spikes except ``NUMBERS``; compared beforehand."""
    torch.manual_seed(0)
    ours = (ELMv1 if setting.version == 1 else ELMv2)(**NEURONIO, num_memory=setting.num_memory)
    shape = setting.batch, setting.time, ours.num_input
    spikes = (torch.rand(shape) < DENSITY).float()
    spikes[:, :, ours.num_input // 2 :] *= -1  # the inhibitory half
    numbers = torch.randn(shape)

    state = ours.state_dict()
    peer = (StepByStepV1 if setting.version == 1 else StepByStepV2)(NEURONIO, state)
    loop = torch.jit.script(peer)
    events = _events(spikes)
    steps = {
        LOOP: _step(loop, lambda: loop(spikes)),
        REFERENCE: _step(ours, lambda: _by_reference(ours, spikes)),
        EVENTS: _step(ours, lambda: ours.forward_events(*events)),
        SPIKES: _step(ours, lambda: ours(spikes)),
        NUMBERS: _step(ours, lambda: ours(numbers)),
    }
    if find_spec("jax") is not None:
        from tests.benchmarks.elm_jax_peers import training_steps

        steps |= training_steps(NEURONIO, state, spikes)
    on_numbers = _step(loop, lambda: loop(numbers))
    expected = {NUMBERS: on_numbers(), LOOP: steps[LOOP]()}
    for name, step in steps.items():
        _compare(f"{setting}, {name}", step(), expected.get(name, expected[LOOP]))
    return steps


def _step(model: nn.Module, forward: Callable[[], Tensor]) -> Step:
    def step() -> tuple[Tensor, dict[str, Tensor]]:
        model.zero_grad()
        outputs = forward()
        outputs.square().sum().backward()
        return outputs, {name: weight.grad for name, weight in model.named_parameters()}

    return step


def _by_reference(model: ELMv1 | ELMv2, inputs: Tensor) -> Tensor:
    backend, model.backend = model.backend, REFERENCE
    outputs = model(inputs)
    model.backend = backend
    return outputs


def _events(spikes: Tensor) -> Events:
    """In the types that the NeuronIO loader gives."""
    counts = spikes.count_nonzero(dim=2).flatten()
    ends = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    batch, n_steps = spikes.shape[:2]
    ptr = ends[n_steps * torch.arange(batch)[:, None] + torch.arange(n_steps + 1)]
    return Events(spikes.nonzero()[:, 2].int(), ptr, spikes[spikes != 0].to(torch.int8))


def _compare(name: str, found: tuple, expected: tuple) -> None:
    """Raise where a contestant does not compute the same."""
    outputs, gradients = (_numpy(found[0]), {k: _numpy(v) for k, v in found[1].items()})
    error = np.abs(outputs - _numpy(expected[0])).max()
    if not error <= 1e-5:
        raise AssertionError(f"{name}: outputs differ by {error:.1e}")
    for key, value in expected[1].items():
        error = np.linalg.norm(gradients[key] - _numpy(value)) / np.linalg.norm(_numpy(value))
        if not error <= 1e-3:
            raise AssertionError(f"{name}: the gradient of {key} differs by {error:.1e}")


def _numpy(array: object) -> np.ndarray:
    return array.detach().numpy() if isinstance(array, Tensor) else np.asarray(array)


def _take_turns(steps: dict[str, Step], turns: int) -> dict[str, float]:
    """Median milliseconds of each, after three warm-ups: two, and the one that was compared."""
    for step in steps.values():
        step()
        step()
    times = {name: [] for name in steps}
    for _ in range(turns):
        for name, step in steps.items():
            times[name].append(_milliseconds(step))
    return {name: float(np.median(values)) for name, values in times.items()}


def _milliseconds(step: Step, at_least: float = 0.1) -> float:
    """Median of the runs that fit into ``at_least`` seconds, one or more, after an unmeasured one:
    in a training, memory and caches are as the step before left them."""
    step()
    times, begin = [], time.perf_counter()
    while not times or time.perf_counter() - begin < at_least:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def _loader_milliseconds(folder: str, setting: Setting, batches: int = 50) -> float:
    """To gather a batch of windows as lists of events, in the mean."""
    data = NeuronIODataModule(
        folder, window=setting.time, batch_size=setting.batch, batches_per_epoch=batches
    )
    for _ in data.train_dataloader():  # maps the file
        pass
    begin = time.perf_counter()
    for _ in data.train_dataloader():
        pass
    return 1e3 * (time.perf_counter() - begin) / batches


def _added_megabytes(step: Step) -> float:
    """How far a step raises the resident set at its peak; NaN where the system is not Linux.

    Memory that the allocator keeps from earlier steps is given back first, and so counts again.
    """
    if sys.platform != "linux":
        return float("nan")
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the mark falls to what is resident now
    before = _resident_megabytes("VmRSS")
    step()
    return _resident_megabytes("VmHWM") - before


def _resident_megabytes(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(field))
    return int(line.split()[1]) / 1024


@contextmanager
def two_cores() -> Iterator[None]:
    """Keep every library to two cores of this machine, where it lets a process choose."""
    threads, can_choose = torch.get_num_threads(), hasattr(os, "sched_setaffinity")
    cores = os.sched_getaffinity(0) if can_choose else set()
    try:
        torch.set_num_threads(2)
        if can_choose:
            os.sched_setaffinity(0, sorted(cores)[:2])
        yield
    finally:
        torch.set_num_threads(threads)
        if can_choose:
            os.sched_setaffinity(0, cores)


if __name__ == "__main__":
    main()
