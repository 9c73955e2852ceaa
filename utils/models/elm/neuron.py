"""The expressive leaky memory (ELM) neuron, in both versions.

Spieler, Rahaman, Martius, Schölkopf & Levina, "The Expressive Leaky Memory Neuron: an Efficient
and Expressive Phenomenological Neuron Model Can Solve Long-Horizon Tasks", ICLR 2024 (arXiv
2306.16922).

Inputs reach synapses, synapses sum up in branches that forget exponentially, and a multilayer
perceptron writes what it makes of branches and memory into leaky memory units::

    branch_t = kappa * branch_{t-1} + sum of (w_s * input) over the branch
    kept_t = kappa_m * memory_{t-1}
    memory_t = kept_t + gain * 1.7159 tanh(2/3 MLP[branch_t, kept_t])
    output_t = W_y memory_t + c

Version 1 has a time constant per synapse and ``gain = lambda (1 - kappa_m)``, version 2 one per
branch and ``gain = 1 - exp(-delta_t lambda / tau_m)``. Times are in the unit of ``delta_t``, in ms
for NeuronIO. All that is linear in time is computed for all frames at once; see ``recurrence``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from utils.config import ConfigError, near_matches
from utils.models.elm.arguments import check_arguments
from utils.models.elm.base import ELM, ELMTrace
from utils.models.elm.recurrence import Events, filter_dense, filter_synapses
from utils.models.elm.timescales import decay


class ELMv1(ELM):
    """ELM neuron with a time constant per synapse; the version of all published checkpoints.

    Parameters
    ----------
    num_input, num_output, num_memory : sizes; more memory units make a more expressive neuron.
    lambda_value : how far an update can move the memory.
    mlp_num_layers, mlp_hidden_size, mlp_activation : hidden layers of the perceptron, their width
        (twice ``num_memory`` where None), ``"relu"`` or ``"silu"``.
    tau_s_value : time constant of the synapses, in the unit of ``delta_t``.
    memory_tau_min, memory_tau_max, learn_memory_tau : bounds of the memory's time constants, which
        start evenly spread over them on a logarithmic scale.
    w_s_value : initial weight of the synapses.
    num_branch, num_synapse_per_branch, input_to_synapse_routing : the dendrite: one branch per
        input where ``num_branch`` is None; routing ``None``, ``"random_routing"`` (drawn with
        ``routing_seed``) or ``"neuronio_routing"``, see :func:`utils.models.elm.routing.route`.
    delta_t : duration of a frame.
    learn_synapse_tau : train the time constant of each synapse.
    backend : ``"auto"``, ``"reference"``, ``"numba"`` or ``"triton"``, see ``recurrence``.

    Raises
    ------
    ValueError
        Settings that make no neuron; the message names them.
    """

    def __init__(
        self,
        num_input: int,
        num_output: int,
        num_memory: int = 100,
        lambda_value: float = 5.0,
        mlp_num_layers: int = 1,
        mlp_hidden_size: int | None = None,
        mlp_activation: str = "relu",
        tau_s_value: float = 5.0,
        memory_tau_min: float = 1.0,
        memory_tau_max: float = 1000.0,
        learn_memory_tau: bool = False,
        w_s_value: float = 0.5,
        num_branch: int | None = None,
        num_synapse_per_branch: int = 1,
        input_to_synapse_routing: str | None = None,
        delta_t: float = 1.0,
        *,
        learn_synapse_tau: bool = False,
        routing_seed: int = 0,
        backend: str = "auto",
    ) -> None:
        super().__init__(
            num_input,
            num_output,
            num_memory,
            lambda_value,
            mlp_num_layers,
            mlp_hidden_size,
            mlp_activation,
            memory_tau_min,
            memory_tau_max,
            learn_memory_tau,
            w_s_value,
            num_branch,
            num_synapse_per_branch,
            input_to_synapse_routing,
            delta_t,
            routing_seed,
            backend,
        )
        self.tau_s_value, self.learn_synapse_tau = tau_s_value, learn_synapse_tau
        check_arguments(self)
        self._hold("tau_s", torch.full((self.num_synapse,), float(tau_s_value)), learn_synapse_tau)
        self._tau_s_seen = None  # tensor, its version, and whether branches share it

    @property
    def kappa_s(self) -> Tensor:
        """What synapses keep from one frame to the next (synapse,)."""
        return decay(self.tau_s, self.delta_t)

    def _gain(self, kappa_m: Tensor) -> Tensor:
        return self.lambda_value * (1 - kappa_m)

    def _branch_kappa(self) -> Tensor:
        return decay(self.tau_s[:: self.num_synapse_per_branch], self.delta_t)

    def _branches_share_tau(self) -> bool:
        tau, seen = self.tau_s, self._tau_s_seen
        if self.learn_synapse_tau or torch._C._functorch.is_batchedtensor(tau):
            return False
        if tau.is_cpu or tau.is_inference():
            return self._same_in_branches(tau)
        # to look again in every step would stop a GPU; what changes a tensor raises its version
        if seen is None or seen[0] is not tau or seen[1] != tau._version:
            self._tau_s_seen = seen = (tau, tau._version, self._same_in_branches(tau))
        return seen[2]

    def _same_in_branches(self, tau: Tensor) -> bool:
        by_branch = tau.unflatten(0, (self.num_branch, -1))
        return torch.equal(by_branch, by_branch[:, :1].expand_as(by_branch))

    def __getstate__(self) -> dict[str, object]:
        """Copies look for themselves: the versions of their tensors start anew."""
        return super().__getstate__() | {"_tau_s_seen": None}

    def _branches(self, inputs: Tensor | Events, initial: Tensor) -> tuple[Tensor, Tensor]:
        if self._branches_share_tau():
            return super()._branches(inputs, initial)
        arguments = *self.synapses(), self.kappa_s, initial, self.num_branch
        return filter_synapses(self._dense(inputs), *arguments, self.backend)

    def _dendrite_record(self, X: Tensor, trace: ELMTrace) -> Tensor:
        currents = self._synaptic_inputs(X) * self.w_s
        at_rest = currents.new_zeros(len(currents), self.num_synapse)
        return filter_dense(currents, self.kappa_s, at_rest, self.backend)


class ELMv2(ELM):
    """ELM neuron with a time constant per branch.

    Arguments, errors and shapes as of :class:`ELMv1`, but ``tau_b_value`` and ``learn_branch_tau``
    are about branches, and ``lambda_value`` shortens the time constant of an update.
    """

    def __init__(
        self,
        num_input: int,
        num_output: int,
        num_memory: int = 100,
        lambda_value: float = 5.0,
        mlp_num_layers: int = 1,
        mlp_hidden_size: int | None = None,
        mlp_activation: str = "relu",
        tau_b_value: float = 5.0,
        memory_tau_min: float = 1.0,
        memory_tau_max: float = 1000.0,
        learn_memory_tau: bool = False,
        w_s_value: float = 0.5,
        num_branch: int | None = None,
        num_synapse_per_branch: int = 1,
        input_to_synapse_routing: str | None = None,
        delta_t: float = 1.0,
        *,
        learn_branch_tau: bool = False,
        routing_seed: int = 0,
        backend: str = "auto",
    ) -> None:
        super().__init__(
            num_input,
            num_output,
            num_memory,
            lambda_value,
            mlp_num_layers,
            mlp_hidden_size,
            mlp_activation,
            memory_tau_min,
            memory_tau_max,
            learn_memory_tau,
            w_s_value,
            num_branch,
            num_synapse_per_branch,
            input_to_synapse_routing,
            delta_t,
            routing_seed,
            backend,
        )
        self.tau_b_value, self.learn_branch_tau = tau_b_value, learn_branch_tau
        check_arguments(self)
        self._hold("tau_b", torch.full((self.num_branch,), float(tau_b_value)), learn_branch_tau)

    @property
    def kappa_b(self) -> Tensor:
        """What branches keep from one frame to the next (branch,)."""
        return decay(self.tau_b, self.delta_t)

    @property
    def kappa_lambda(self) -> Tensor:
        """What an update leaves of the memory's distance to its target (memory,)."""
        return decay(self.tau_m, self.delta_t * self.lambda_value)

    def _gain(self, kappa_m: Tensor) -> Tensor:
        return 1 - self.kappa_lambda

    def _branch_kappa(self) -> Tensor:
        return self.kappa_b

    def _branches_share_tau(self) -> bool:
        return True

    def _dendrite_record(self, X: Tensor, trace: ELMTrace) -> Tensor:
        return trace.branch


VERSIONS = {"v1": ELMv1, "v2": ELMv2}


def build_neuron(version: str, arguments: Mapping[str, Any]) -> ELMv1 | ELMv2:
    """A neuron by its version and the names of its arguments, as configurations give them.

    Raises
    ------
    ConfigError
        Unknown version or argument (with near matches), or arguments that make no neuron.
    """
    if version not in VERSIONS:
        raise ConfigError(
            f"no ELM neuron of version {version!r}{near_matches(str(version), list(VERSIONS))}"
        )
    kind = VERSIONS[version]
    known = list(inspect.signature(kind).parameters)
    for name in arguments:
        if name not in known:
            raise ConfigError(
                f"{kind.__name__} has no argument '{name}'{near_matches(name, known)}"
            )
    missing = [name for name in ("num_input", "num_output") if name not in arguments]
    if missing:
        raise ConfigError(f"{kind.__name__} needs {' and '.join(missing)}")
    try:
        return kind(**arguments)
    except ValueError as error:
        raise ConfigError(f"{kind.__name__}: {error}") from None
