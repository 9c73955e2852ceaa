"""Which input reaches which synapse. Synapse ``j * K + k`` is the k-th of branch ``j``."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ROUTINGS = (None, "random_routing", "neuronio_routing")


def route(
    routing: str | None, num_input: int, num_branch: int, num_synapse_per_branch: int, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Input of each synapse, and which synapses are connected, both (synapse,).

    ``None``: synapse i has input i (both tables are empty). ``"random_routing"``: any input, some
    several times. ``"neuronio_routing"``: excitatory and inhibitory inputs of a place alternate,
    and branches take overlapping stretches of them; synapses beyond the last input stay
    unconnected.

    Raises
    ------
    ValueError
        Unknown routing, or synapses that do not fit the inputs.
    """
    n_synapses = num_branch * num_synapse_per_branch
    sizes = f"{num_branch} branches of {num_synapse_per_branch} synapses"
    if routing is None:
        if n_synapses != num_input:
            raise ValueError(
                f"{sizes} are {n_synapses} synapses for num_input={num_input}; without routing "
                "each input has one synapse: change num_branch or num_synapse_per_branch, or "
                "choose input_to_synapse_routing='random_routing' or 'neuronio_routing'"
            )
        return torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.bool)
    if routing == "random_routing":
        generator = torch.Generator("cpu").manual_seed(seed)
        index = torch.randint(num_input, (n_synapses,), generator=generator, device="cpu")
        return index.to(torch.get_default_device()), torch.ones(n_synapses, dtype=torch.bool)
    if routing == "neuronio_routing":
        stride = math.ceil(num_input / num_branch)
        if stride > num_synapse_per_branch:
            raise ValueError(
                f"{sizes} cannot take {num_input} inputs by 'neuronio_routing', which needs "
                f"num_synapse_per_branch >= {stride}"
            )
        return _overlapping_stretches(num_input, num_branch, num_synapse_per_branch, stride)
    raise ValueError(f"input_to_synapse_routing must be one of {ROUTINGS}, found {routing!r}")


def _overlapping_stretches(
    num_input: int, num_branch: int, num_synapse_per_branch: int, stride: int
) -> tuple[Tensor, Tensor]:
    place = torch.arange(num_input)
    interlocked = place % 2 * (num_input // 2) + place // 2
    starts = stride * torch.arange(num_branch)
    places = (starts[:, None] + torch.arange(num_synapse_per_branch)).flatten()
    return interlocked[places.clamp(max=num_input - 1)], places < num_input
