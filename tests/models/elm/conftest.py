"""Small neurons of all kinds, and spikes for them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from utils.models.elm import ELMv1, ELMv2

INPUTS = 12
RANDOM = {
    "num_branch": 3, "num_synapse_per_branch": 10, "input_to_synapse_routing": "random_routing",
}  # fmt: skip
DENDRITES = {
    "unbranched": {},
    "neighbours": {"num_branch": 3, "num_synapse_per_branch": 4},
    "random": RANDOM,
    "single": RANDOM | {"num_synapse_per_branch": 1},
    "neuronio": RANDOM | {"input_to_synapse_routing": "neuronio_routing"},
    "many branches": RANDOM | {"num_branch": 20, "num_synapse_per_branch": 2},
}
LEARNT = {ELMv1: {"learn_synapse_tau": True}, ELMv2: {"learn_branch_tau": True}}


@pytest.fixture(params=DENDRITES)
def dendrite(request):
    return request.param


@pytest.fixture(params=["reference", "auto"])
def backend(request):
    return request.param


@pytest.fixture(params=[ELMv1, ELMv2])
def version(request):
    return request.param


@pytest.fixture
def make():
    """A neuron for 12 inputs, with different weights at its synapses."""

    def make(version, dendrite="random", backend="reference", learn=False, **arguments):
        torch.manual_seed(0)
        arguments = DENDRITES[dendrite] | {"num_memory": 5, "learn_memory_tau": learn} | arguments
        if learn:
            arguments |= LEARNT[version]
        neuron = version(INPUTS, 2, **arguments, backend=backend)
        with torch.no_grad():
            neuron._proto_w_s.uniform_(-0.1, 1)
        return neuron

    return make


@pytest.fixture
def spikes():
    """-1, 0 and 1 at random, (batch, time, 12)."""

    def spikes(batch: int = 3, time: int = 40, seed: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(-1, 2, (batch, time, INPUTS), generator=generator).float()

    return spikes
