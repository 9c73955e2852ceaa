"""Windows per second in training and forecasting, for every forecaster, against naive builds.

300 simulated neurons, 12,000 frames, 48 -> 16 frames, batches of 32, CPU, settings as they come.
Training of a network is a step of the optimiser on a batch, of a closed form the whole fit, with
the choice of its penalties, over all training windows. Peers: the classes of `transformers` with
their own loss and `generate` (in twos, 100 samples), torch's TransformerEncoder, both fed by a
DataLoader over windows that lie in memory; sklearn's Ridge on the explicit design matrix, with
the penalties that ours chose, on 10 of the 300 neurons where it goes neuron by neuron (its rate is
scaled), checked for the same weights. Contestants take turns; medians.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import chain, islice, repeat

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.benchmarks.forecaster_peers import CLOSED_FORMS, NETWORKS
from utils.models.forecasting import available_forecasters, build_forecaster, forecaster_class
from utils.models.forecasting.base import Forecaster
from utils.models.forecasting.network import NetworkForecaster
from utils.simulation.population import simulate_calcium_population
from utils.training import ForecastTask
from utils.windows import WindowData, window_data
from utils.windows.module import WindowLoader

CONTEXT, HORIZON, BATCH = 48, 16, 32
SOLVED_NEURONS = 10
Turn = Callable[[], int]  # does some work and says on how many windows


def main(turns: int = 3, batches: int = 4) -> None:
    """Print the table: ``turns`` of ``batches`` each."""
    population = simulate_calcium_population()
    times = np.arange(len(population.activity)) / population.frame_rate
    data = window_data(population.activity, times, CONTEXT, HORIZON, source="simulated")
    print(
        "| model (simulated data) | training, windows/s | naive | ratio "
        "| forecasting, windows/s | naive | ratio |\n|---|---|---|---|---|---|---|"
    )
    for name in available_forecasters():
        model = build_forecaster(name, **_on_cpu(name))
        contestants = _contestants(model, data, batches)
        rates = {job: [] for job in contestants}
        for _ in range(turns):
            for job, turn in contestants.items():
                rates[job].append(_windows_per_second(turn))
        medians = {job: float(np.median(values)) for job, values in rates.items()}
        print(
            f"| {name} | {_cells(medians, 'train')} | {_cells(medians, 'forecast')} |", flush=True
        )


def _cells(rates: dict[str, float], job: str) -> str:
    ours, naive = rates[job], rates.get(f"naive {job}")
    if naive is None:
        return f"{ours:,.3g} | - | -"
    return f"{ours:,.3g} | {naive:,.3g} | {ours / naive:,.3g}"


def _windows_per_second(turn: Turn) -> float:
    begin = time.perf_counter()
    return turn() / (time.perf_counter() - begin)


def _contestants(model: Forecaster, data: WindowData, batches: int) -> dict[str, Turn]:
    """What takes turns, by name of the job."""
    if isinstance(model, NetworkForecaster):
        found = _network_training(model, data, batches)
    else:
        found = _closed_form_training(model, data)
    pasts = [data.test.batch(part).past for part in torch.arange(batches * BATCH).split(BATCH)]
    found["forecast"] = lambda: _forecast(model.predict, pasts)
    if model.name in NETWORKS:
        found |= _naive_network(NETWORKS[model.name](model), data, pasts, batches)
    return found


def _on_cpu(name: str) -> dict:
    is_network = issubclass(forecaster_class(name), NetworkForecaster)
    return {"trainer": {"device": "cpu", "batch_size": BATCH}} if is_network else {}


def _network_training(model: NetworkForecaster, data: WindowData, batches: int) -> dict[str, Turn]:
    """Steps on shuffled batches, as in training; the network is ready to forecast between."""
    model._remember(data)
    model._start(data)
    task = ForecastTask(model.network, model.config.trainer)
    loader = WindowLoader(data.train, BATCH, shuffle=True)
    return {
        "train": _steps(model.network, lambda batch: task.losses(batch)[0]["loss"], loader, batches)
    }


def _naive_network(
    peer: nn.Module, data: WindowData, pasts: list[torch.Tensor], batches: int
) -> dict[str, Turn]:
    windows = data.train.batch(torch.arange(len(data.train)))
    loader = DataLoader(TensorDataset(windows.past, windows.future), BATCH, shuffle=True)
    at_once = peer.windows_at_once or BATCH
    few = pasts if peer.windows_at_once is None else [pasts[0][:at_once]]
    return {
        "naive train": _steps(peer, lambda pair: peer.loss(*pair), loader, batches),
        "naive forecast": lambda: _forecast(peer.forecast, few),
    }


def _steps(network: nn.Module, loss: Callable, loader: Iterable, batches: int) -> Turn:
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    endless = chain.from_iterable(repeat(loader))

    def turn() -> int:
        network.train()
        for batch in islice(endless, batches):
            optimizer.zero_grad()
            loss(batch).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        network.eval()
        return batches * BATCH

    return turn


def _forecast(predict: Callable, pasts: list[torch.Tensor]) -> int:
    with torch.no_grad():
        for past in pasts:
            predict(past)
    return sum(len(past) for past in pasts)


def _closed_form_training(model: Forecaster, data: WindowData) -> dict[str, Turn]:
    model.fit(data)
    n = len(data.train)

    def ours() -> int:
        model.fit(data)
        return n

    if model.name not in CLOSED_FORMS:
        return {"train": ours}
    solve, weights, one_by_one = CLOSED_FORMS[model.name]
    neurons = range(SOLVED_NEURONS if one_by_one else data.n_neurons)

    def naive() -> int:
        found = solve(model, data, neurons)
        expected = getattr(model, weights)[: len(neurons)].numpy()
        error = np.abs(found - expected).max() / np.abs(expected).max()
        if error > 1e-3:
            raise AssertionError(f"{model.name}: weights of the peer differ by {error:.1%}")
        return n * len(neurons) // data.n_neurons

    return {"train": ours, "naive train": naive}


if __name__ == "__main__":
    main()
