"""What the forecasts of ELM neurons owe to each of their inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from utils.models.elm.cell_wiring import Branch
from utils.models.elm.cells import CellNeurons
from utils.models.elm.neuron import ELMv2

if TYPE_CHECKING:
    from utils.windows import WindowSplit

SHIFTS = (0.3, 0.4, 0.5, 0.6, 0.7)  # of a segment


@torch.no_grad()
def cell_anatomy(model: CellNeurons, split: WindowSplit) -> pd.DataFrame:
    """How much worse each cell is forecast when some of its inputs come from another time.

    The inputs of all branches of one name are shifted within their segment, by several parts of
    its length in turn. What gets worse by that is what the cell had from them; a branch that
    learnt nothing but noise loses nothing. What counts is twice the covariance of what the branch
    adds with what the cell does, so a loss may exceed 1, and losses do not add up.

    Parameters
    ----------
    model : fitted neurons.
    split : block to look at, e.g. ``data.validation``.

    Returns
    -------
    One row per cell and name of a branch: cell, region (where known), branch, n_sources (cells or
    behavioural variables) and r2_loss, the rise of the squared error of the activity in units of
    its variance about the train mean.
    """
    network, data = model.network_for(split.data), split.data
    sources = [_sources_by_name(branches) for branches in model.branches]
    rise = [dict.fromkeys(names, 0.0) for names in sources]  # of the squared error
    variance = torch.zeros(len(model.cells))
    scored = split.starts + data.context
    for start, stop in split.read.tolist():
        inputs = network.inputs_of(data, start, stop)
        frames = scored[(scored > start) & (scored < stop)]
        truth = network.targets(data.activity[frames].to(inputs.device))  # (frame, cell)
        variance += truth.square().nansum(dim=0).cpu()
        for place, neuron in enumerate(network.neurons):
            heard = _Heard(neuron, inputs, truth[:, place], frames - start - 1)
            for name, columns in sources[place].items():
                rise[place][name] += heard.rise_without(_both(columns, network.sizes.n_sources))
    rows = [
        {"cell": cell, "branch": name, "n_sources": len(columns), "r2_loss": lost[name] / total}
        for cell, names, lost, total in zip(model.cells, sources, rise, variance.tolist())
        for name, columns in names.items()
    ]
    table = pd.DataFrame(rows)
    if "region" in data.neurons:
        table.insert(1, "region", data.neurons["region"].to_numpy()[table["cell"]])
    return table


def branch_weights(model: CellNeurons) -> pd.DataFrame:
    """Summed synaptic weights, (cell, name of the branch): what a cell listens to.

    Not what it makes of it: the perceptron behind the branches has weights of its own.
    """
    rows = {}
    for cell, neuron, branches in zip(model.cells, model.neurons, model.branches):
        by_branch = neuron.synapses()[1].unflatten(0, (neuron.num_branch, -1)).sum(dim=1)
        names = [branch.name for branch in branches]
        rows[cell] = pd.Series(by_branch.tolist(), index=names).groupby(level=0).sum()
    return pd.DataFrame(rows).T.fillna(0.0).rename_axis("cell")


class _Heard:
    """A neuron, what it hears in a segment and what it should say of the next frame."""

    def __init__(self, neuron: ELMv2, inputs: Tensor, truth: Tensor, rows: Tensor) -> None:
        self.neuron, self.inputs, self.truth, self.rows = neuron, inputs, truth, rows
        self.error = self._error()

    def rise_without(self, columns: Tensor) -> float:
        """Rise of the sum of squared errors with some inputs of another time, mean over shifts."""
        heard, errors = self.inputs[:, :, columns], []
        for shift in SHIFTS:
            elsewhere = round(shift * heard.shape[1])
            self.inputs[:, :, columns] = heard.roll(elsewhere, dims=1)
            errors.append(self._error())
        self.inputs[:, :, columns] = heard
        return float(np.mean(errors)) - self.error

    def _error(self) -> float:
        said = self.neuron(self.inputs)[0, self.rows, 1]
        return float((said - self.truth).square().nansum())


def _sources_by_name(branches: list[Branch]) -> dict[str, Tensor]:
    """All branches of a name have the same sources."""
    return {branch.name: torch.tensor(branch.sources) for branch in branches}


def _both(sources: Tensor, n_sources: int) -> Tensor:
    """Inputs that excite and those that inhibit."""
    return torch.cat([sources, sources + n_sources])
