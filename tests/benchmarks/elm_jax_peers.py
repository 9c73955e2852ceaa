"""The same neurons in JAX, float32: one ``lax.scan`` as the equations stand, and a hoisted one.

Hoisted means: what is linear in time is taken out of the loop, as our own backends do it. Needs
``pip install jax`` (the extra ``bench``).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from torch import Tensor

from tests.benchmarks.elm_peers import time_constants

Weights = dict[str, jax.Array]
Forward = Callable[[Weights, jax.Array], jax.Array]
TRAINED = ("_proto_w_s", "mlp", "w_y")


def training_steps(config: dict, state: dict[str, Tensor], inputs: Tensor) -> dict[str, Callable]:
    """Jitted training steps by name, each ``() -> (outputs, gradients by name)``, blocking."""
    weights = {k: jnp.asarray(v.numpy()) for k, v in state.items() if k.startswith(TRAINED)}
    dense = jnp.asarray(inputs.numpy())
    neuron = _Neuron(config, state)
    return {
        "JAX, loop": _step(neuron.step_by_step, weights, dense),
        "JAX, hoisted": _step(neuron.hoisted, weights, dense),
    }


def _step(forward: Forward, weights: Weights, inputs: jax.Array) -> Callable:
    def loss(weights: Weights, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        outputs = forward(weights, inputs)
        return jnp.square(outputs).sum(), outputs

    gradient = jax.jit(jax.grad(loss, has_aux=True))

    def step() -> tuple[jax.Array, Weights]:
        gradients, outputs = jax.block_until_ready(gradient(weights, inputs))
        return outputs, gradients

    return step


class _Neuron:
    """Decays and routing; the trained weights are arguments of the methods."""

    def __init__(self, config: dict, state: dict[str, Tensor]) -> None:
        tau_synapse, tau_memory, step = (np.asarray(x) for x in time_constants(config, state))
        gain = config.get("lambda_value", 5.0)
        self.is_v1 = "tau_s" in state
        self.keep_synapse = np.exp(-step / tau_synapse)
        self.keep_memory = np.exp(-step / tau_memory)
        self.gain = (
            gain * (1 - self.keep_memory) if self.is_v1 else 1 - np.exp(-step * gain / tau_memory)
        )
        self.index = state["input_to_synapse_indices"].numpy()
        self.mask = state["valid_indices_mask"].numpy().astype(np.float32)
        self.n_branch = state["mlp.network.0.weight"].shape[1] - len(tau_memory)

    def step_by_step(self, weights: Weights, inputs: jax.Array) -> jax.Array:
        """(batch, time, input) -> (batch, time, output), all of it in the loop."""
        routed = inputs[:, :, self.index] * self.mask
        strength = jax.nn.relu(weights["_proto_w_s"])
        first = weights["mlp.network.0.weight"].T

        def advance(carry: tuple, now: jax.Array) -> tuple[tuple, jax.Array]:
            leaking, memory = carry
            if self.is_v1:  # a state per synapse
                leaking = self.keep_synapse * leaking + strength * now
                branches = self._branch_sums(leaking)
            else:  # a state per branch
                leaking = self.keep_synapse * leaking + self._branch_sums(strength * now)
                branches = leaking
            kept = self.keep_memory * memory
            hidden = jnp.concatenate([branches, kept], axis=1) @ first
            memory = kept + self._update(weights, hidden)
            return (leaking, memory), _read_out(weights, memory)

        start = (
            jnp.zeros((len(inputs), len(self.keep_synapse)), inputs.dtype),
            jnp.zeros((len(inputs), len(self.keep_memory)), inputs.dtype),
        )
        outputs = lax.scan(advance, start, routed.swapaxes(0, 1))[1]
        return outputs.swapaxes(0, 1)

    def hoisted(self, weights: Weights, inputs: jax.Array) -> jax.Array:
        """(batch, time, input) -> (batch, time, output), only the memory in the loop."""
        strength = jax.nn.relu(weights["_proto_w_s"]) * self.mask
        branch = np.repeat(np.arange(self.n_branch), len(self.index) // self.n_branch)
        to_branch = jnp.zeros((inputs.shape[2], self.n_branch), inputs.dtype)
        to_branch = to_branch.at[self.index, branch].add(strength)
        arrived = (inputs.reshape(-1, inputs.shape[2]) @ to_branch).reshape(
            len(inputs), -1, self.n_branch
        )
        arrived = arrived.swapaxes(0, 1)  # (time, batch, branch)
        decay = self.keep_synapse[:: len(self.keep_synapse) // self.n_branch]

        def leak(state: jax.Array, now: jax.Array) -> tuple[jax.Array, jax.Array]:
            state = decay * state + now
            return state, state

        branches = lax.scan(leak, jnp.zeros_like(arrived[0]), arrived)[1]
        first = weights["mlp.network.0.weight"].T
        drive = branches @ first[: self.n_branch]
        recurrent = self.keep_memory[:, None] * first[self.n_branch :]

        def advance(memory: jax.Array, now: jax.Array) -> tuple[jax.Array, jax.Array]:
            update = self._update(weights, now + memory @ recurrent)
            memory = self.keep_memory * memory + update
            return memory, memory

        start = jnp.zeros((len(inputs), len(self.keep_memory)), inputs.dtype)
        memory = lax.scan(advance, start, drive)[1]
        return _read_out(weights, memory).swapaxes(0, 1)

    def _branch_sums(self, synapses: jax.Array) -> jax.Array:
        return synapses.reshape(len(synapses), self.n_branch, -1).sum(axis=2)

    def _update(self, weights: Weights, hidden: jax.Array) -> jax.Array:
        hidden = jax.nn.relu(hidden + weights["mlp.network.0.bias"])
        proposal = hidden @ weights["mlp.network.2.weight"].T + weights["mlp.network.2.bias"]
        return self.gain * 1.7159 * jnp.tanh(2 / 3 * proposal)


def _read_out(weights: Weights, memory: jax.Array) -> jax.Array:
    return memory @ weights["w_y.weight"].T + weights["w_y.bias"]
