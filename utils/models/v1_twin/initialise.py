"""Where readouts start: at the cells' mean rates, and at the place and features that drive them.

A spike-triggered average of pixels finds simple cells only. That of the core's features finds
complex cells as well, even with the random filters of a fresh core. Features are alike at all
places, so one covariance, pooled over places, turns averages into weights by regression.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from utils.config import ConfigError
from utils.models.v1_twin.blocks import Block
from utils.models.v1_twin.losses import LossName, twin_loss
from utils.models.v1_twin.norms import DivisiveNorm
from utils.models.v1_twin.readout import GaussianReadout
from utils.models.v1_twin.task import Sequences
from utils.models.v1_twin.twin import V1Twin

Batches = Iterable[Mapping[str, Sequences]]
Rates = Mapping[str, Tensor]  # (cell,) by data set

RIDGE = 0.01  # of the mean variance of a feature


@torch.no_grad()
def start_at_mean_rates(model: V1Twin, mean_rates: Rates) -> None:
    """Biases that give each cell its mean rate where the features say nothing.

    Parameters
    ----------
    mean_rates : counts per bin of the training bins.
    """
    for name, rates in mean_rates.items():
        bias = model.readouts[name].bias
        bias.copy_(model.output.inverse(rates.to(bias)))


@torch.no_grad()
def start_at_features(
    model: V1Twin,
    batches: Batches,
    mean_rates: Rates,
    *,
    n_batches: int = 50,
    loss: LossName = "poisson",
) -> None:
    """Readouts that look where features and responses go together, weighted by ridge regression.

    Before, filters are scaled to what a divisive norm can tell apart. The mask keeps its size. Gain
    and bias of each cell are fitted to the loss at the end.

    Parameters
    ----------
    batches : of training.
    n_batches : how many of them to use; a fifth of them once more.

    Raises
    ------
    ConfigError
        A readout without places.
    """
    linear = [n for n in mean_rates if not isinstance(model.readouts[n], GaussianReadout)]
    if linear:
        raise ConfigError(f"readout of '{linear[0]}': places are found for type 'gaussian' only")
    start_at_mean_rates(model, mean_rates)
    training = model.training
    model.eval()
    scale_to_norms(model, batches)
    for name, averages in _triggered_averages(model, batches, mean_rates, n_batches).items():
        _look_at_the_best_place(model.readouts[name], averages)
    seen = _drives(model, batches, mean_rates, -(-n_batches // 5))  # two numbers need fewer
    for name, (drive, responses, mask) in seen.items():
        _fit_gain_and_bias(model.readouts[name], model.output, drive, responses, mask, loss)
    model.train(training)


@torch.no_grad()
def scale_to_norms(model: V1Twin, batches: Batches, *, n_batches: int = 2) -> None:
    """Scale filters so that what comes to a divisive norm has a root mean square of 1.

    In images of the world low spatial frequencies are the strongest by far: a norm would divide all
    others by them.
    """
    blocks = [part for part in model.core.modules() if isinstance(part, Block)]
    for block in blocks:
        if isinstance(block.norm, DivisiveNorm):
            squares = _mean_squares(model, block.norm, islice(batches, n_batches))
            scale = squares.clamp(min=torch.finfo(squares.dtype).tiny).rsqrt()
            for weight in (block.conv.weight, block.conv.bias):
                if weight is not None:
                    weight.mul_(scale.view(-1, *[1] * (weight.ndim - 1)))


def _mean_squares(model: V1Twin, norm: nn.Module, batches: Batches) -> Tensor:
    """(channel,) of what comes to a norm."""
    found = []
    hook = norm.register_forward_pre_hook(
        lambda _, inputs: found.append(inputs[0].square().mean((0, 1, 3, 4)))
    )
    for batch in batches:
        for name, part in batch.items():
            _features(model, name, part)
    hook.remove()
    return torch.stack(found).mean(0)


class _Averages(NamedTuple):
    """Sums over bins; features as a mask of the readout's size sees them at every place."""

    cross: Tensor  # (cell, channel, row, column) of deviations from the mean rate with features
    deviations: Tensor  # (cell,) from the mean rate
    valid: Tensor  # (cell,) bins
    features: Tensor  # (channel, row, column)
    squares: Tensor  # (channel, row, column)
    products: Tensor  # (channel, channel) over places as well
    bins: Tensor

    def regression(self) -> tuple[Tensor, Tensor]:
        """Weights (cell, channel, row, column), and the variance that each place explains."""
        mean = self.features / self.bins
        variance = self.squares / self.bins - mean.square()
        flat = mean.flatten(1)
        covariance = (self.products / self.bins - flat @ flat.mT) / flat.shape[1]
        ridge = RIDGE * covariance.diagonal().mean() + torch.finfo(mean.dtype).tiny
        covariance.diagonal().add_(ridge)
        # at the border a mask averages over less, which varies more
        scale = variance.mean(0) / variance.mean() + RIDGE
        cross = self.cross - self.deviations[:, None, None, None] * mean
        cross = cross / self.valid.clamp(min=1)[:, None, None, None]
        weights = torch.linalg.solve(covariance, cross.movedim(1, 0).flatten(1))
        weights = weights.view_as(cross.movedim(1, 0)).movedim(0, 1) / scale
        return weights, (weights * cross).sum(dim=1)


def _triggered_averages(
    model: V1Twin, batches: Batches, mean_rates: Rates, n_batches: int
) -> dict[str, _Averages]:
    sums: dict[str, _Averages] = {}
    for batch in tqdm(islice(batches, n_batches), "averages of features", unit="batch", delay=2):
        for name, part in batch.items():
            found = _averages(model, name, part, mean_rates[name])
            so_far = sums.get(name)
            sums[name] = found if so_far is None else _Averages(*map(torch.add, so_far, found))
    return sums


def _averages(model: V1Twin, name: str, part: Sequences, mean_rates: Tensor) -> _Averages:
    readout = model.readouts[name]
    features = _features(model, name, part)  # (bin, channel, row, column)
    rows, columns = (_blur(axis, readout.std.mean()) for axis in (readout.rows, readout.columns))
    features = rows @ features @ columns.mT
    responses, mask = _bins(part, features)
    deviations = mask * (responses - mean_rates.to(responses))  # (bin, cell)
    flat = features.movedim(1, 0).flatten(1)  # (channel, bin and place)
    return _Averages(
        (deviations.mT @ features.flatten(1)).view(-1, *features.shape[1:]),
        deviations.sum(0),
        mask.sum(0),
        features.sum(0),
        features.square().sum(0),
        flat @ flat.mT,
        torch.tensor(float(len(features)), device=flat.device),
    )


def _blur(places: Tensor, std: Tensor) -> Tensor:
    """(place, place) what a mask centred on a place averages over."""
    distance = places[:, None] - places
    return torch.softmax(-((distance / std) ** 2) / 2, dim=1)


def _look_at_the_best_place(readout: GaussianReadout, averages: _Averages) -> None:
    weights, explained = averages.regression()
    best = explained.flatten(1).argmax(dim=1)
    row, column = torch.unravel_index(best, explained.shape[1:])
    x = readout.columns[column] / readout.columns[-1].clamp(min=0.5)  # one pixel lies at 0
    y = readout.rows[row] / readout.rows[0].clamp(min=0.5)
    readout.mean.copy_(torch.stack([x, y], dim=1))
    readout.features.copy_(weights[torch.arange(len(best)), :, row, column])


def _drives(
    model: V1Twin, batches: Batches, mean_rates: Rates, n_batches: int
) -> dict[str, list[Tensor]]:
    """Drive without bias, responses and mask of the bins, each (bin, cell)."""
    seen: dict[str, list[tuple[Tensor, ...]]] = {name: [] for name in mean_rates}
    for batch in islice(batches, n_batches):
        for name, part in batch.items():
            features = _features(model, name, part)
            readout = model.readouts[name]
            drive = readout(features[:, :, None])[:, 0] - readout.bias
            seen[name].append((drive, *_bins(part, drive)))
    return {name: [torch.cat(p) for p in zip(*parts)] for name, parts in seen.items() if parts}


@torch.enable_grad()
def _fit_gain_and_bias(
    readout: GaussianReadout,
    output: nn.Module,
    drive: Tensor,
    responses: Tensor,
    mask: Tensor,
    loss: LossName,
) -> None:
    """Scale each cell's drive to what its responses call for; the drive has a mean of its own."""
    middle = drive.mean(0)
    scale = drive.std(0).clamp(min=1e-6)
    drive = (drive - middle) / scale
    gain = torch.full_like(scale, 0.1, requires_grad=True)
    bias = readout.bias.detach().clone().requires_grad_()
    optimizer = torch.optim.LBFGS([gain, bias], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = twin_loss(loss, output(gain * drive + bias), responses, mask)
        value.backward()
        return value

    optimizer.step(closure)
    with torch.no_grad():
        readout.features.mul_((gain / scale)[:, None])
        readout.bias.copy_(bias - gain * middle / scale)


def _features(model: V1Twin, name: str, part: Sequences) -> Tensor:
    """Features of the bins that count, (bin, channel, row, column)."""
    device = next(model.parameters()).device
    inputs = [None if x is None else x.to(device) for x in (part.stimulus, part.behavior)]
    features = model.core_features(name, *inputs)[:, :, -part.mask.shape[1] :]
    return features.transpose(1, 2).flatten(0, 1).float()


def _bins(part: Sequences, like: Tensor) -> tuple[Tensor, Tensor]:
    """Responses and mask of the bins that count, each (bin, cell)."""
    responses = part.responses[:, -part.mask.shape[1] :]
    mask = part.mask.expand_as(responses)
    return responses.flatten(0, 1).to(like), mask.flatten(0, 1).to(like)
