"""A training step of an ELM neuron on an NVIDIA GPU: Triton kernels against loops over time.

Neuron, spikes and peers as of ``bench_elm``, all of them on the GPU: the equations as a TorchScript
loop, our own formulas in plain PyTorch (``backend="reference"``), and ours as it comes, from event
lists and from dense spikes. Each must yield what the loop yields. Steps end when the GPU is done;
contestants take turns; medians.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tests.benchmarks import bench_elm as on_cpu
from tests.benchmarks.bench_elm import EVENTS, LOOP, REFERENCE, SPIKES, Setting, Step
from tests.benchmarks.elm_peers import StepByStepV1
from utils.models.elm import ELMv1
from utils.models.elm.recurrence import Events

COLUMNS = [REFERENCE, EVENTS, SPIKES]
SETTINGS = [
    Setting(1, 15, 8, 500),
    Setting(1, 20, 8, 500),
    Setting(1, 100, 8, 500),
    Setting(1, 20, 64, 500),
    Setting(1, 100, 64, 500),
    Setting(1, 20, 8, 2000),
    Setting(1, 20, 128, 500),
]


def main(turns: int = 5) -> None:
    """Print one row per setting: ms of a step and how many times faster than the loop it is."""
    if not torch.cuda.is_available():
        print("No NVIDIA GPU here: nothing is timed.")
        return
    print(
        "| d_m | batch | steps | loop, ms | plain PyTorch | ours, event lists "
        "| ours, dense spikes |\n" + "|---" * 7 + "|"
    )
    for setting in SETTINGS:
        steps = {name: _timed(step) for name, step in contestants(setting, "cuda").items()}
        times = on_cpu._take_turns(steps, turns)
        cells = [f"{times[LOOP]:,.0f}", *(on_cpu._cell(times, name) for name in COLUMNS)]
        print(f"| {' | '.join(map(str, (*setting[1:], *cells)))} |", flush=True)


def contestants(setting: Setting, device: str) -> dict[str, Step]:
    """Training steps by column, all on the same spikes; compared beforehand."""
    torch.manual_seed(0)
    ours = ELMv1(**on_cpu.NEURONIO, num_memory=setting.num_memory)
    loop = torch.jit.script(StepByStepV1(on_cpu.NEURONIO, ours.state_dict())).to(device)
    ours = ours.to(device)
    shape = setting.batch, setting.time, ours.num_input
    spikes = (torch.rand(shape) < on_cpu.DENSITY).float()
    events = Events(*(part.to(device) for part in on_cpu._events(spikes)))
    spikes = spikes.to(device)
    steps = {
        LOOP: on_cpu._step(loop, lambda: loop(spikes)),
        REFERENCE: on_cpu._step(ours, lambda: on_cpu._by_reference(ours, spikes)),
        EVENTS: on_cpu._step(ours, lambda: ours.forward_events(*events)),
        SPIKES: on_cpu._step(ours, lambda: ours(spikes)),
    }
    expected = _fetched(steps[LOOP]())
    for name, step in steps.items():
        on_cpu._compare(f"{setting}, {name}", _fetched(step()), expected)
    return steps


def _timed(step: Step) -> Step:
    def to_the_end() -> None:
        step()
        torch.cuda.synchronize()

    return to_the_end


def _fetched(result: tuple[Tensor, dict[str, Tensor]]) -> tuple[Tensor, dict[str, Tensor]]:
    outputs, gradients = result
    return outputs.cpu(), {name: gradient.cpu() for name, gradient in gradients.items()}


if __name__ == "__main__":
    main()
