"""How a population is wired to one of its cells: inputs, branches and synapses.

Each cell, and each behavioural variable, is two inputs: its activity above its mean, which excites,
and below it, which inhibits (not positive). So synaptic weights need no sign, as those of neurons
with excitatory and inhibitory inputs. All synapses of a branch come from one area, or ring of
distance, or field of view; behaviour has a branch, and the cell's own past some.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import torch

from utils.models.elm.neuron import ELMv2

Grouping = Literal["auto", "area", "distance", "fov"]

OWN, BEHAVIOUR = "own", "behaviour"
OWN_TAUS = (0.3, 1.0, 4.0, 16.0)  # frames: the last frame, and averages of the cell's own past
OTHER_TAU = 2.0  # frames
RINGS = (150, 300, 600)  # um from the cell
UNKNOWN = "unknown"  # area or distance
COLUMNS = {"area": ("region",), "fov": ("fov",), "distance": ("ml", "ap")}


class Branch(NamedTuple):
    """A branch of a cell's dendrite."""

    name: str  # area, ring, field of view, "behaviour" or "own"
    sources: list[int]  # cells; behind them, counted on, behavioural variables
    tau: float  # frames


def wire_cell(
    cell: int, neurons: pd.DataFrame, n_covariates: int, by: Grouping, own: bool
) -> list[Branch]:
    """Branches of a cell; the cell itself is in none but those of its own past.

    Parameters
    ----------
    cell : its row in ``neurons``, the table of all cells with columns such as region, ml and ap.
    own : whether the cell hears its own past.

    Raises
    ------
    ValueError
        Nothing to hear, or a grouping that the table cannot give.
    """
    groups = group_sources(cell, neurons, by)
    others = np.arange(len(neurons)) != cell
    branches = [
        Branch(name, np.flatnonzero((groups == name) & others).tolist(), OTHER_TAU)
        for name in sorted(set(groups[others]))
    ]
    if n_covariates:
        behaviour = list(range(len(neurons), len(neurons) + n_covariates))
        branches.append(Branch(BEHAVIOUR, behaviour, OTHER_TAU))
    if own:
        branches += [Branch(OWN, [cell], tau) for tau in OWN_TAUS]
    if not branches:
        raise ValueError(
            f"cell {cell} would hear nothing: no other cell, no behaviour, no own past"
        )
    return branches


def group_sources(cell: int, neurons: pd.DataFrame, by: Grouping) -> np.ndarray:
    """Name of the group of each cell, (neuron,).

    ``auto`` is by area where areas are known, else by field of view, else all are one group.

    Raises
    ------
    ValueError
        The table lacks what the grouping needs.
    """
    if by == "auto":
        by = next((name for name in ("area", "fov") if _is_known(neurons, name)), "")
        if not by:
            return np.full(len(neurons), "population", dtype=object)
    if not _is_known(neurons, by):
        raise ValueError(
            f"branches by {by} need the columns {', '.join(COLUMNS[by])} in the table of neurons, "
            f"with known values; found the columns {', '.join(neurons.columns)}. Use by='auto'"
        )
    if by == "distance":
        return _rings(cell, neurons)
    return neurons[COLUMNS[by][0]].astype(str).to_numpy(dtype=object)


def build_cell_neuron(
    branches: Sequence[Branch],
    n_sources: int,
    num_memory: int,
    longest_tau: float,
    seed: tuple[int, int],
) -> ELMv2:
    """An ELM neuron with two outputs and these branches; weights are drawn with ``seed``.

    Inputs are ``n_sources`` excitations, then as many inhibitions, all divided by the root of
    ``n_sources``. Weights are about one then: with smaller ones a few steps of the optimiser in a
    wrong direction end in synapses that are silent for ever. Time is in frames.
    """
    most = max(len(branch.sources) for branch in branches)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        neuron = ELMv2(
            num_input=2 * n_sources,
            num_output=2,
            num_memory=num_memory,
            mlp_activation="silu",
            memory_tau_max=longest_tau,
            num_branch=len(branches),
            num_synapse_per_branch=2 * most,
            input_to_synapse_routing="random_routing",  # replaced by the tables below
        )
    index = torch.zeros(len(branches), 2 * most, dtype=torch.int64)
    connected = torch.zeros(len(branches), 2 * most, dtype=torch.bool)
    weights = torch.zeros(len(branches), 2 * most)
    for row, branch in enumerate(branches):
        inputs = torch.tensor(branch.sources)
        used = slice(2 * len(inputs))
        index[row, used] = torch.cat([inputs, inputs + n_sources])
        connected[row, used] = True
        # so that a branch varies about as much as one of its sources
        leak = 1 - math.exp(-1 / branch.tau)
        weights[row, used] = leak * math.sqrt(n_sources / len(inputs))
    with torch.no_grad():
        neuron.input_to_synapse_indices.copy_(index.flatten())
        neuron.valid_indices_mask.copy_(connected.flatten())
        neuron._proto_w_s.copy_(weights.flatten())
        neuron.tau_b.copy_(torch.tensor([branch.tau for branch in branches]))
    return neuron


def _is_known(neurons: pd.DataFrame, by: str) -> bool:
    if not set(COLUMNS[by]) <= set(neurons):
        return False
    values = neurons[list(COLUMNS[by])]
    return bool((values.notna() & (values != UNKNOWN)).all(axis=1).any())


def _rings(cell: int, neurons: pd.DataFrame) -> np.ndarray:
    places = neurons[list(COLUMNS["distance"])].to_numpy(float)
    distance = np.hypot(*(places - places[cell]).T)
    names = [f"{a}-{b} um" for a, b in zip((0, *RINGS), RINGS)] + [f"> {RINGS[-1]} um"]
    rings = np.array(names, dtype=object)[np.searchsorted(RINGS, distance)]
    rings[np.isnan(distance)] = UNKNOWN
    return rings
