"""The message model's training step against scatter along edges, and times of whole fits.

A step is the forward pass, the loss of the derivative and its gradients; psi depends on the sender.
Peers evaluate psi on all n (n - 1) edges of each frame and add the messages to receivers: with
torch_geometric's MessagePassing where it is installed (extra ``bench``), and by ``index_add``.
Beforehand all must predict the same. All run in this process and take turns; medians, on 2 cores.

Fits recover the connectivity of simulated networks (Lorentz, N2, 4 types, noise-free, exact
derivative), psi and phi unknown; CPU seconds tell more than wall seconds where a machine is busy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tests.benchmarks.bench_elm import _take_turns, two_cores
from tests.benchmarks.gnn_peers import ScatterModel, pyg_model
from utils.metrics import connectivity_r2
from utils.models.gnn import fit_connectivity
from utils.models.gnn.messages import MessageModel
from utils.simulation import simulate_network

DENSE, SCATTER, PYG = "dense", "index_add", "torch_geometric"
TOLERANCE = 1e-6  # of predictions, relative to their largest


class Setting(NamedTuple):
    """A row of the table of steps."""

    n_neurons: int
    batch: int


class Fit(NamedTuple):
    """Rows of the table of fits, one per seed."""

    n_neurons: int
    n_frames: int
    seeds: tuple[int, ...]


STEPS = [Setting(100, 8), Setting(300, 8), Setting(1000, 1)]
FITS = [Fit(100, 100_000, (0, 1, 2)), Fit(300, 100_000, (0, 1, 2)), Fit(1000, 100_000, (0, 1, 2))]


def main(turns: int = 3) -> None:
    """Print a table of training steps and one of fits."""
    if find_spec("torch_geometric") is None:
        print(
            "torch_geometric is not installed, its column stays empty: pip install -e '.[bench]'\n"
        )
    print(f"| n | frames | dense, ms | {SCATTER} | {PYG} |\n" + "|---" * 5 + "|")
    with two_cores():
        for setting in STEPS:
            times = _take_turns(contestants(setting), turns)
            peers = [_cell(times, name) for name in (SCATTER, PYG)]
            print(
                f"| {' | '.join(map(str, [*setting, f'{times[DENSE]:.1f}', *peers]))} |", flush=True
            )
        print("\n| n | frames | seed | CPU seconds | seconds | R2 |\n" + "|---" * 6 + "|")
        for fit in FITS:
            for seed in fit.seeds:
                print(f"| {' | '.join(map(str, fit_row(fit, seed)))} |", flush=True)


def contestants(setting: Setting) -> dict[str, Callable[[], Tensor]]:
    """Training steps by column, on the same frames and from the same weights."""
    models = {name: _model(setting) for name in (DENSE, SCATTER, PYG)}
    networks: dict[str, nn.Module] = {
        DENSE: models[DENSE],
        SCATTER: ScatterModel(models[SCATTER], setting.batch),
    }
    if find_spec("torch_geometric") is not None:
        networks[PYG] = pyg_model(models[PYG], setting.batch)
    activity, derivative = torch.randn(2, setting.batch, setting.n_neurons)
    expected = networks[DENSE](activity).detach()
    for name, network in networks.items():
        error = (network(activity).detach() - expected).abs().max() / expected.abs().max()
        if not error <= TOLERANCE:
            raise AssertionError(f"{setting}, {name}: predictions differ by {error:.1e}")
    return {name: _step(network, activity, derivative) for name, network in networks.items()}


def fit_row(fit: Fit, seed: int) -> list[object]:
    """Time and R2 of one fit."""
    network = simulate_network(n_neurons=fit.n_neurons, n_frames=fit.n_frames, seed=seed)
    begin, cpu = time.perf_counter(), time.process_time()
    found = fit_connectivity(
        network.activity, dt=network.dt, derivative=network.derivative, seed=seed
    )
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - begin
    r2 = connectivity_r2(found.connectivity, network.connectivity)
    return [fit.n_neurons, fit.n_frames, seed, f"{cpu:.1f}", f"{seconds:.1f}", f"{r2:.4f}"]


def _model(setting: Setting) -> MessageModel:
    torch.manual_seed(0)
    model = MessageModel(setting.n_neurons)
    nn.init.normal_(model.weights.values, std=setting.n_neurons**-0.5)
    return model


def _step(network: nn.Module, activity: Tensor, derivative: Tensor) -> Callable[[], Tensor]:
    def step() -> Tensor:
        network.zero_grad()
        loss = (network(activity) - derivative).square().mean()
        loss.backward()
        return loss.detach()

    return step


def _cell(times: dict[str, float], name: str) -> str:
    return f"{times[name]:,.1f} ({times[name] / times[DENSE]:,.0f}x)" if name in times else "-"


if __name__ == "__main__":
    main()
