"""What both versions of the ELM neuron share: sizes, dendrite, memory, running and recording."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from utils.models.elm.arguments import check_arguments
from utils.models.elm.recurrence import (
    Events,
    filter_dense,
    filter_inputs,
    memory_recurrence,
)
from utils.models.elm.routing import route
from utils.models.elm.timescales import bounded_tau, decay, finite_proto_tau, initial_proto_tau

NEURONIO_SOMA_SCALE = 0.1  # of the training targets, (voltage + 67.7 mV) * 0.1
MODULES = {"relu": nn.ReLU, "silu": nn.SiLU}
LARGEST_TABLE = 2**24  # weights of all inputs to all branches, 64 MB


class ELMState(NamedTuple):
    """What a neuron carries from one stretch of time to the next."""

    dendrite: Tensor  # (batch, branch), or (batch, synapse) where these have time constants
    memory: Tensor  # (batch, memory)

    def detach(self) -> ELMState:
        """Without its history: truncates back-propagation through time."""
        return ELMState(self.dendrite.detach(), self.memory.detach())


class ELMTrace(NamedTuple):
    """What happened in a neuron."""

    output: Tensor  # (batch, time, output)
    branch: Tensor  # (batch, time, branch)
    memory: Tensor  # (batch, time, memory)
    state: ELMState  # after the last frame


class MLP(nn.Module):
    """``num_layers`` hidden layers and a linear one behind them."""

    def __init__(
        self, num_input: int, hidden_size: int, num_output: int, num_layers: int, activation: str
    ) -> None:
        super().__init__()
        widths = [num_input, *[hidden_size] * num_layers]
        hidden = [
            module
            for before, after in pairwise(widths)
            for module in (nn.Linear(before, after), MODULES[activation]())
        ]
        self.network = nn.Sequential(*hidden, nn.Linear(widths[-1], num_output))

    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """Weights and biases in order."""
        linear = [module for module in self.network if isinstance(module, nn.Linear)]
        return [(module.weight, module.bias) for module in linear]


class ELM(nn.Module, ABC):
    """What both versions share; arguments as of :class:`ELMv1`."""

    def __init__(
        self,
        num_input: int,
        num_output: int,
        num_memory: int,
        lambda_value: float,
        mlp_num_layers: int,
        mlp_hidden_size: int | None,
        mlp_activation: str,
        memory_tau_min: float,
        memory_tau_max: float,
        learn_memory_tau: bool,
        w_s_value: float,
        num_branch: int | None,
        num_synapse_per_branch: int,
        input_to_synapse_routing: str | None,
        delta_t: float,
        routing_seed: int,
        backend: str,
    ) -> None:
        super().__init__()
        self.num_input, self.num_output, self.num_memory = num_input, num_output, num_memory
        self.num_branch = num_input if num_branch is None else num_branch
        self.num_synapse_per_branch = num_synapse_per_branch
        self.input_to_synapse_routing, self.routing_seed = input_to_synapse_routing, routing_seed
        self.mlp_num_layers, self.mlp_hidden_size = mlp_num_layers, mlp_hidden_size
        self.mlp_activation = mlp_activation
        self.lambda_value, self.delta_t, self.w_s_value = lambda_value, delta_t, w_s_value
        self.memory_tau_min, self.memory_tau_max = memory_tau_min, memory_tau_max
        self.learn_memory_tau, self.backend = learn_memory_tau, backend
        check_arguments(self)
        if memory_tau_max < memory_tau_min:
            raise ValueError(
                f"memory_tau_max must be at least memory_tau_min = {memory_tau_min}; found "
                f"{memory_tau_max}"
            )
        self.memory_tau_max = max(memory_tau_min + 3e-6, memory_tau_max)
        self.mlp_hidden_size = 2 * num_memory if mlp_hidden_size is None else mlp_hidden_size
        self.num_synapse = self.num_branch * num_synapse_per_branch
        self._build()

    def _build(self) -> None:
        self.mlp = MLP(
            self.num_branch + self.num_memory,
            self.mlp_hidden_size,
            self.num_memory,
            self.mlp_num_layers,
            self.mlp_activation,
        )
        self._proto_w_s = nn.Parameter(torch.full((self.num_synapse,), float(self.w_s_value)))
        self.w_y = nn.Linear(self.num_memory, self.num_output)
        proto = initial_proto_tau(self.num_memory, self.memory_tau_min, self.memory_tau_max)
        self._hold("_proto_tau_m", proto, self.learn_memory_tau)
        index, connected = route(
            self.input_to_synapse_routing,
            self.num_input,
            self.num_branch,
            self.num_synapse_per_branch,
            self.routing_seed,
        )
        self.register_buffer("input_to_synapse_indices", index)
        self.register_buffer("valid_indices_mask", connected)

    # --------------------------------------------------------------------------- running a neuron

    def forward(self, X: Tensor) -> Tensor:
        """Outputs (batch, time, output) for inputs (batch, time, input) of any number type."""
        return self.run(X).output

    def forward_events(self, idx: Tensor, ptr: Tensor, val: Tensor | None = None) -> Tensor:
        """Outputs (batch, time, output) for spikes alone.

        Parameters
        ----------
        idx : (event,) integer input of each spike.
        ptr : (batch, time + 1) integers, spikes of sample b at time t are
            ``idx[ptr[b, t]:ptr[b, t + 1]]``; of one dimension for a single sample.
        val : (event,) size and sign of each spike; 1 where left out.

        Raises
        ------
        ValueError
            An index that is no input, or lists that do not belong together.
        """
        ptr = ptr[None] if ptr.ndim == 1 else ptr
        return self.run(Events(idx, ptr, val)).output

    @torch.compiler.disable
    def run(self, inputs: Tensor | Events, state: ELMState | None = None) -> ELMTrace:
        """Go on from ``state`` (from rest where None) and record.

        Running a recording in pieces, each from the state after the one before, equals running it
        at once; ``state.detach()`` between the pieces truncates back-propagation.

        States are computed in the type of the neuron's parameters, also under autocast: the slow
        ones change by less than bfloat16 can tell. ``torch.compile`` leaves the neuron as it is.

        Raises
        ------
        ValueError
            Inputs of another shape than (batch, time >= 1, num_input), or a state of another one.
        """
        self._check_inputs(inputs)
        rest = self.initial_state(len(inputs.ptr if isinstance(inputs, Events) else inputs))
        dendrite, memory = rest if state is None else _checked_state(state, rest)
        with torch.autocast(memory.device.type, enabled=False):
            branch, dendrite = self._branches(inputs, dendrite)
            memory = self._memory(branch, memory)
            output = self.w_y(memory)
        return ELMTrace(output, branch, memory, ELMState(dendrite, memory[:, -1]))

    def initial_state(self, batch: int) -> ELMState:
        """The state at rest."""
        zeros = self._proto_w_s.new_zeros
        n_dendrite = self.num_branch if self._branches_share_tau() else self.num_synapse
        return ELMState(zeros(batch, n_dendrite), zeros(batch, self.num_memory))

    def neuronio_eval_forward(
        self, X: Tensor | Events, y_train_soma_scale: float = NEURONIO_SOMA_SCALE
    ) -> Tensor:
        """(batch, time, 2): spike probability, and somatic voltage in mV above -67.7 mV."""
        return _neuronio_outputs(self.run(X).output, y_train_soma_scale)

    def neuronio_viz_forward(
        self, X: Tensor, y_train_soma_scale: float = NEURONIO_SOMA_SCALE
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What happens inside, for pictures.

        Returns
        -------
        outputs as of :meth:`neuronio_eval_forward`, the states of the synapses (version 1: (batch,
        time, synapse)) or branches (version 2: (batch, time, branch)), and the memory (batch, time,
        memory).
        """
        trace = self.run(X)
        outputs = _neuronio_outputs(trace.output, y_train_soma_scale)
        return outputs, self._dendrite_record(X, trace), trace.memory

    def save(self, folder: str | Path, **about: Any) -> Path:
        """Keep the neuron in a folder; :func:`utils.models.elm.load_model` brings it back."""
        from utils.models.elm.store import save_elm

        return save_elm(self, folder, **about)

    # -------------------------------------------------------------------------- what it is made of

    @property
    def arguments(self) -> dict[str, Any]:
        """What the constructor was given, defaults included."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @property
    def w_s(self) -> Tensor:
        """Synaptic weights (synapse,), not negative."""
        return functional.relu(self._proto_w_s)

    @property
    def tau_m(self) -> Tensor:
        """Time constants of the memory (memory,)."""
        return bounded_tau(self._proto_tau_m, self.memory_tau_min, self.memory_tau_max)

    @property
    def kappa_m(self) -> Tensor:
        """What the memory keeps from one frame to the next (memory,)."""
        return decay(self.tau_m, self.delta_t)

    def synapses(self) -> tuple[Tensor, Tensor]:
        """Input of each synapse and its weight, 0 where it is not connected; both (synapse,)."""
        if self.input_to_synapse_routing is None:
            return torch.arange(self.num_input, device=self._proto_w_s.device), self.w_s
        return self.input_to_synapse_indices, self.w_s * self.valid_indices_mask

    @property
    def gain(self) -> Tensor:
        """How strongly the perceptron writes into each memory unit (memory,)."""
        return self._gain(self.kappa_m)

    @abstractmethod
    def _gain(self, kappa_m: Tensor) -> Tensor:
        """:attr:`gain`, from :attr:`kappa_m`."""

    @abstractmethod
    def _branch_kappa(self) -> Tensor:
        """What branches keep from one frame to the next (branch,), where they share it."""

    @abstractmethod
    def _branches_share_tau(self) -> bool:
        """Whether all synapses of a branch have the same time constant."""

    @abstractmethod
    def _dendrite_record(self, X: Tensor, trace: ELMTrace) -> Tensor:
        """Second return value of :meth:`neuronio_viz_forward`."""

    def _branches(self, inputs: Tensor | Events, initial: Tensor) -> tuple[Tensor, Tensor]:
        """Branch states (batch, time, branch) and the last state of branches or synapses."""
        kappa = self._branch_kappa()
        if self._has_table(inputs):
            branch = filter_inputs(
                inputs, self._weights_to_branches(), kappa, initial, self.backend
            )
        else:
            drive = self._synaptic_inputs(inputs) * self.w_s
            if self.num_synapse_per_branch > 1:
                drive = drive.unflatten(2, (self.num_branch, -1)).sum(dim=3)
            branch = filter_dense(drive, kappa, initial, self.backend)
        return branch, branch[:, -1]

    def _memory(self, branch: Tensor, initial: Tensor) -> Tensor:
        """(batch, time, branch) -> (batch, time, memory)."""
        (weight, bias), *layers = self.mlp.layers()
        from_branches, from_memory = weight.split([self.num_branch, self.num_memory], dim=1)
        kappa_m = self.kappa_m
        return memory_recurrence(
            functional.linear(branch, from_branches, bias),
            from_memory * kappa_m,
            layers,
            kappa_m,
            self._gain(kappa_m),
            initial,
            self.mlp_activation,
            self.backend,
        )

    def _has_table(self, inputs: Tensor | Events) -> bool:
        """Whether branches are a product with the table (input, branch) of all weights.

        Else the inputs of all synapses are laid out in time, and kept for the gradient.
        """
        if self.num_input * self.num_branch > LARGEST_TABLE:
            return False
        if self.input_to_synapse_routing is None:  # branches are sums of neighbouring inputs
            return isinstance(inputs, Events) and self.num_branch < self.num_input
        return True

    def _weights_to_branches(self) -> Tensor:
        """(input, branch): all synapses of a branch from the same input are one."""
        index, weights = self.synapses()
        branch = torch.arange(self.num_branch, device=index.device)[:, None]
        place = index.view(self.num_branch, -1) * self.num_branch + branch
        total = weights.new_zeros(self.num_input * self.num_branch)
        total.index_add_(0, place.view(-1), weights)
        return total.view(self.num_input, self.num_branch)

    def _synaptic_inputs(self, inputs: Tensor | Events) -> Tensor:
        """(batch, time, synapse), 0 at synapses that are not connected."""
        dense = self._dense(inputs)
        if self.input_to_synapse_routing is None:
            return dense
        return dense[:, :, self.input_to_synapse_indices] * self.valid_indices_mask

    def _dense(self, inputs: Tensor | Events) -> Tensor:
        """(batch, time, input) in the neuron's own type."""
        dense = inputs.dense(self.num_input) if isinstance(inputs, Events) else inputs
        return dense.to(self._proto_w_s.dtype)

    def _hold(self, name: str, values: Tensor, learn: bool) -> None:
        """A tensor of the state dict, trained or not."""
        if learn:
            self.register_parameter(name, nn.Parameter(values))
        else:
            self.register_buffer(name, values)

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Published files hold an infinite value for a time constant at its bound."""
        tau, index = f"{prefix}_proto_tau_m", f"{prefix}input_to_synapse_indices"
        if tau in state:
            state[tau] = finite_proto_tau(state[tau])
        if index in state and not _among(state[index], self.num_input):
            *_, errors = rest
            errors.append(f"{index} must be whole numbers between 0 and {self.num_input - 1}")
        super()._load_from_state_dict(state, prefix, *rest)

    def _check_inputs(self, inputs: Tensor | Events) -> None:
        if isinstance(inputs, Events):
            inputs.check(self.num_input)
        elif inputs.ndim != 3 or inputs.shape[1] == 0 or inputs.shape[2] != self.num_input:
            raise ValueError(
                f"inputs must be (batch, time >= 1, num_input = {self.num_input}), found "
                f"{tuple(inputs.shape)}"
            )

    def extra_repr(self) -> str:
        """Sizes, as print(model) shows them."""
        return (
            f"{self.num_input} inputs, {self.num_branch} branches of {self.num_synapse_per_branch} "
            f"synapses, {self.num_memory} memory units, {self.num_output} outputs"
        )


def _among(index: Tensor, n: int) -> bool:
    """Whether all are places in a list of ``n``."""
    return bool(((index >= 0) & (index < n) & (index == index.long())).all())


def _checked_state(state: ELMState, rest: ELMState) -> ELMState:
    """The state, where it has the shapes of the one at rest."""
    shapes = [tuple(tensor.shape) for tensor in state]
    expected = [tuple(tensor.shape) for tensor in rest]
    if shapes != expected:
        raise ValueError(
            f"state must have a dendrite {expected[0]} and a memory {expected[1]}, found "
            f"{shapes[0]} and {shapes[1]}"
        )
    return state


def _neuronio_outputs(output: Tensor, y_train_soma_scale: float) -> Tensor:
    if output.shape[2] < 2:
        raise ValueError(
            f"NeuronIO needs two outputs (spike, soma), this neuron has {output.shape[2]}"
        )
    return torch.stack([output[..., 0].sigmoid(), output[..., 1] / y_train_soma_scale], dim=-1)
