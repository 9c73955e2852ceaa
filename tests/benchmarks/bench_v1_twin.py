"""Predicted bins per second of a V1 twin: one pass over sequences against a window for each bin.

Windows are the 33 frames that a prediction depends on, cut beforehand and given in batches to
``predict_last``, which strides over time as the published network does. One data set of 48 cells;
backward adds the Poisson loss and all gradients. Both run in this process and take turns; medians.
On a GPU all is under bfloat16 autocast, and a step ends when the GPU is done. Beforehand both must
predict the same for the first bin: its window is all that the sequence has seen by then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from tests.benchmarks.bench_elm import _take_turns, two_cores
from utils.models.v1_twin import build_model
from utils.models.v1_twin.losses import twin_loss

FLAGSHIP = "learned_resnet_none_convgru_gaussian"
N_LAGS, N_CELLS, BEHAVIOR_DIMS = 33, 48, 42
SEQUENCE, WINDOWS = "sequence", "windows"

Step = Callable[[], Tensor]


class Setting(NamedTuple):
    """A row of the table."""

    device: str
    config: str
    batch: int
    bins: int
    windows_at_once: int
    trains: bool


ON_CPU = [
    Setting("cpu", FLAGSHIP, 1, 32, 8, trains=False),
    Setting("cpu", FLAGSHIP, 1, 32, 8, trains=True),
    Setting("cpu", "small", 4, 120, 32, trains=False),
    Setting("cpu", "small", 4, 120, 32, trains=True),
]
ON_GPU = [
    Setting("cuda", FLAGSHIP, 8, 240, 128, trains=False),
    Setting("cuda", FLAGSHIP, 8, 240, 128, trains=True),
    Setting("cuda", "small", 32, 240, 1024, trains=False),
    Setting("cuda", "small", 32, 240, 1024, trains=True),
]


def main(turns: int = 3) -> None:
    """Print one row per setting: bins per second of both, and how many times faster a pass is."""
    columns = "twin", "device", "sequences", "bins", "step", "per bin, bins/s", "one pass, bins/s"
    print(f"| {' | '.join(columns)} | faster |\n{'|---' * (len(columns) + 1)}|")
    with two_cores():
        _print_rows(ON_CPU, turns)
    if torch.cuda.is_available():
        _print_rows(ON_GPU, turns)


def _print_rows(settings: list[Setting], turns: int) -> None:
    for setting in settings:
        times = _take_turns(contestants(setting), turns)
        n_bins = setting.batch * setting.bins
        rates = [f"{1e3 * n_bins / times[name]:,.1f}" for name in (WINDOWS, SEQUENCE)]
        step = "forward and backward" if setting.trains else "forward"
        row = [setting.config, setting.device, setting.batch, setting.bins, step, *rates]
        ratio = f"{times[WINDOWS] / times[SEQUENCE]:.1f}x"
        print(f"| {' | '.join(map(str, (*row, ratio)))} |", flush=True)


def contestants(setting: Setting) -> dict[str, Step]:
    """Steps by name, on the same twin and frames; compared beforehand."""
    torch.manual_seed(0)
    data = {"name": "v1", "cell_ids": range(N_CELLS), "behavior_dims": BEHAVIOR_DIMS}
    twin = build_model(setting.config, [data]).to(setting.device).train(setting.trains)
    n_frames = N_LAGS - 1 + setting.bins
    stimulus = torch.randint(0, 256, (setting.batch, n_frames, 51, 51), dtype=torch.uint8)
    behavior = torch.randn(setting.batch, n_frames, BEHAVIOR_DIMS)
    inputs = stimulus.to(setting.device), behavior.to(setting.device)
    windows = [_windows(values) for values in inputs]
    parts = list(zip(*(values.split(setting.windows_at_once) for values in windows)))

    def sequence() -> Tensor:
        return _run(setting, partial(twin, "v1", *inputs, n_bins=setting.bins))

    def by_windows() -> Tensor:
        predictions = [partial(twin.predict_last, "v1", *part) for part in parts]
        rates = torch.cat([_run(setting, predict) for predict in predictions])
        return rates.view(setting.batch, setting.bins, N_CELLS)

    _compare(setting, sequence(), by_windows())
    return {WINDOWS: by_windows, SEQUENCE: sequence}


def _run(setting: Setting, predict: Callable[[], Tensor]) -> Tensor:
    on_gpu = setting.device == "cuda"
    with (
        torch.set_grad_enabled(setting.trains),
        torch.autocast(setting.device, torch.bfloat16, enabled=on_gpu),
    ):
        rates = predict()
        if setting.trains:
            everywhere = torch.ones_like(rates)
            twin_loss("poisson", rates, everywhere, everywhere).backward()
    if on_gpu:
        torch.cuda.synchronize()
    return rates.detach()


def _windows(values: Tensor) -> Tensor:
    """(batch, frame, ..) -> (batch * bin, lag, ..)."""
    return values.unfold(1, N_LAGS, 1).movedim(-1, 2).flatten(0, 1).contiguous()


def _compare(setting: Setting, sequence: Tensor, windows: Tensor) -> None:
    """Raise where the first bins differ: nothing came before their windows."""
    tolerance = 1e-5 if setting.device == "cpu" else 0.02
    error = float((sequence[:, 0] - windows[:, 0]).abs().max())
    if not error <= tolerance:
        raise AssertionError(f"{setting}: the first bins differ by {error:.1e}")


if __name__ == "__main__":
    main()
