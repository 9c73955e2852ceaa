"""What one would build without mesotwin: the equations of an ELM neuron as a loop over time.

Written step by step and compiled with TorchScript; every synapse has its own state in v1, every
branch in v2. One hidden layer with relu, as in the benchmark. A peer takes the weights of one of
our models (``state``, a state dict) and the arguments that the tensors do not hold (``config``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StepByStep(nn.Module):
    """What both versions share: weights, routing and decays; the subclass writes the loop."""

    def __init__(self, config: dict, state: dict[str, Tensor]) -> None:
        super().__init__()
        n_hidden, n_inner = state["mlp.network.0.weight"].shape
        n_memory = len(state["_proto_tau_m"])
        self.n_branch: int = n_inner - n_memory
        self.n_memory: int = n_memory
        self.gain: float = config.get("lambda_value", 5.0)
        self._proto_w_s = nn.Parameter(state["_proto_w_s"].clone())
        self.mlp = nn.ModuleDict(
            {
                "network": nn.Sequential(
                    nn.Linear(n_inner, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_memory)
                )
            }
        )
        self.w_y = nn.Linear(n_memory, len(state["w_y.bias"]))
        shared = {name: value for name, value in state.items() if name.startswith(("mlp", "w_y"))}
        self.load_state_dict(shared, strict=False)

        tau_synapse, tau_memory, step = time_constants(config, state)
        self.register_buffer("index", state["input_to_synapse_indices"])
        self.register_buffer("mask", state["valid_indices_mask"])
        self.register_buffer("keep_synapse", torch.exp(-step / tau_synapse))
        self.register_buffer("keep_memory", torch.exp(-step / tau_memory))
        self.register_buffer("keep_new", torch.exp(-step * self.gain / tau_memory))


class StepByStepV1(StepByStep):
    """ELM v1: synapses leak, branches sum them."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, time, input) -> (batch, time, output)."""
        routed = inputs[:, :, self.index] * self.mask
        weight = torch.relu(self._proto_w_s)
        synapses = torch.zeros_like(routed[:, 0])
        memory = routed.new_zeros(len(inputs), self.n_memory)
        outputs = []
        for t in range(inputs.shape[1]):
            synapses = self.keep_synapse * synapses + weight * routed[:, t]
            branches = synapses.view(len(inputs), self.n_branch, -1).sum(dim=2)
            kept = self.keep_memory * memory
            drive = self.mlp["network"](torch.cat([branches, kept], dim=1))
            proposal = 1.7159 * torch.tanh(2 / 3 * drive)
            memory = kept + self.gain * (1 - self.keep_memory) * proposal
            outputs.append(self.w_y(memory))
        return torch.stack(outputs, dim=1)


class StepByStepV2(StepByStep):
    """ELM v2: branches leak."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, time, input) -> (batch, time, output)."""
        routed = inputs[:, :, self.index] * self.mask
        weight = torch.relu(self._proto_w_s)
        branches = routed.new_zeros(len(inputs), self.n_branch)
        memory = routed.new_zeros(len(inputs), self.n_memory)
        outputs = []
        for t in range(inputs.shape[1]):
            synapses = weight * routed[:, t]
            arrived = synapses.view(len(inputs), self.n_branch, -1).sum(dim=2)
            branches = self.keep_synapse * branches + arrived
            kept = self.keep_memory * memory
            drive = self.mlp["network"](torch.cat([branches, kept], dim=1))
            proposal = 1.7159 * torch.tanh(2 / 3 * drive)
            memory = kept + (1 - self.keep_new) * proposal
            outputs.append(self.w_y(memory))
        return torch.stack(outputs, dim=1)


def time_constants(config: dict, state: dict[str, Tensor]) -> tuple[Tensor, Tensor, float]:
    """Of synapses (v1) or branches (v2), of the memory, and the time step; all in one unit."""
    low, high = config.get("memory_tau_min", 1.0), config.get("memory_tau_max", 1000.0)
    tau_memory = low + (high - low) * torch.sigmoid(state["_proto_tau_m"])
    tau_synapse = state["tau_s"] if "tau_s" in state else state["tau_b"]
    return tau_synapse, tau_memory, config.get("delta_t", 1.0)
