"""What belongs to one version: gradients, time constants of synapses, arguments."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from utils.models.elm import ELMv1, ELMv2
from utils.models.elm.recurrence import events_from_dense

# ---------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("dendrite", ["unbranched", "random"])
def test_gradients_equal_finite_differences(make, spikes, version, dendrite, backend):
    neuron = make(
        version,
        dendrite,
        backend,
        learn=True,
        num_memory=2,
        mlp_num_layers=2,
        mlp_hidden_size=3,
        mlp_activation="silu",
        delta_t=2.0,
    ).double()
    with torch.no_grad():
        neuron._proto_tau_m.uniform_(-4, -2)  # away from the bounds, where nothing moves
        tau = neuron.tau_s if version is ELMv1 else neuron.tau_b
        tau.uniform_(2, 9)
    names, values = zip(*neuron.named_parameters())
    assert {"_proto_tau_m", "tau_s" if version is ELMv1 else "tau_b"} <= set(names)
    X = spikes(batch=2, time=9).double()

    def run(X, *values):
        return functional_call(neuron, dict(zip(names, values)), X)

    assert torch.autograd.gradcheck(run, (X.requires_grad_(), *values))


@pytest.mark.parametrize("learn", [False, True])
def test_transforms_of_functions(make, spikes, version, backend, learn):
    neurons = [make(version, backend=backend, learn=learn).double() for _ in range(2)]
    X = spikes()
    neurons[1]._proto_w_s.data.mul_(2)
    found = vmap(lambda *state: functional_call(neurons[0], state, X))(*stack_module_state(neurons))
    torch.testing.assert_close(found, torch.stack([neuron(X) for neuron in neurons]))
    values = dict(neurons[0].named_parameters())
    gradients = grad(lambda values: functional_call(neurons[0], values, X).square().sum())(values)
    neurons[0](X).square().sum().backward()
    for name, value in values.items():
        torch.testing.assert_close(gradients[name], value.grad, msg=name)


def test_time_constant_of_zero_forgets_at_once(make, spikes, version):
    name = "tau_s_value" if version is ELMv1 else "tau_b_value"
    neuron, X = make(version, **{name: 0.0}), spikes()
    branch = neuron.run(X).branch
    single = torch.cat([neuron.run(X[:, t : t + 1]).branch for t in range(40)], dim=1)
    torch.testing.assert_close(branch, single)


# ---------------------------------------------------------------- time constants of single synapses


def set_tau(neuron: ELMv1, how: str) -> None:
    """Different between branches, or also within them."""
    n = neuron.num_branch if how == "by branch" else neuron.num_synapse
    tau = torch.linspace(1, 20, n).repeat_interleave(neuron.num_synapse // n)
    with torch.no_grad():
        neuron.tau_s.copy_(tau)


def branches_step_by_step(neuron: ELMv1, X: Tensor) -> Tensor:
    """(batch, time, branch), by the equations."""
    index, weights = neuron.synapses()
    synapses, branches = torch.zeros(len(X), neuron.num_synapse), []
    for t in range(X.shape[1]):
        synapses = neuron.kappa_s * synapses + weights * X[:, t, index]
        branches.append(synapses.unflatten(1, (neuron.num_branch, -1)).sum(dim=2))
    return torch.stack(branches, dim=1)


@pytest.mark.parametrize("how", ["by branch", "by synapse"])
def test_loaded_time_constants_of_synapses(make, spikes, dendrite, backend, how):
    neuron, X = make(ELMv1, dendrite, backend), spikes()
    neuron(X)  # has seen that all were the same
    source = make(ELMv1, dendrite)
    set_tau(source, how)
    neuron.load_state_dict(source.state_dict())
    expected = branches_step_by_step(neuron, X)
    torch.testing.assert_close(neuron.run(X).branch, expected)
    torch.testing.assert_close(neuron.run(events_from_dense(X)).branch, expected)
    shown = neuron.neuronio_viz_forward(X)[1].unflatten(2, (neuron.num_branch, -1)).sum(dim=3)
    torch.testing.assert_close(shown, expected)


def change_in_place(neuron):
    with torch.no_grad():
        neuron.tau_s.copy_(torch.linspace(1, 20, 30))
    return neuron


def change_data(neuron):
    neuron.tau_s.data[:] = torch.linspace(1, 20, 30)
    return neuron


def change_buffer(neuron):
    neuron.tau_s = torch.linspace(1, 20, 30)
    return neuron


def change_copy(neuron):
    change_in_place(neuron)
    neuron.tau_s.fill_(5.0)
    neuron(torch.zeros(1, 2, 12))
    return change_in_place(copy.deepcopy(neuron))


def change_by_assignment(neuron):
    tensors = neuron.state_dict() | {"tau_s": torch.linspace(1, 20, 30)}
    neuron.load_state_dict(tensors, assign=True)
    return neuron


@pytest.mark.parametrize(
    "change", [change_in_place, change_data, change_buffer, change_copy, change_by_assignment]
)
def test_changed_time_constants_are_noticed(make, spikes, change):
    neuron, X = make(ELMv1), spikes()
    neuron(X)
    neuron = change(neuron)
    torch.testing.assert_close(neuron.run(X).branch, branches_step_by_step(neuron, X))


def test_inference_mode_neither_hinders_nor_is_remembered(make, spikes):
    with torch.inference_mode():
        neuron = change_buffer(make(ELMv1))
        inside = neuron(spikes())
    with torch.no_grad():
        torch.testing.assert_close(neuron(spikes()), inside)


# ---------------------------------------------------------------------------------------- arguments

WHOLE = ("num_input", "num_output", "num_memory", "num_branch", "num_synapse_per_branch")


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        *((name, (0, -1, 2.0, "3", True), "a whole number, at least 1") for name in WHOLE),
        *((name, (None,), "a whole number, at least 1") for name in WHOLE if name != "num_branch"),
        ("mlp_hidden_size", (0, -2, 1.5), "a whole number, at least 1"),
        ("mlp_num_layers", (-1, 0.5, None), "a whole number, at least 0"),
        ("routing_seed", (-1, "a"), "a whole number, at least 0"),
        ("delta_t", (0, -1.0, float("nan"), float("inf"), "1", None), "a positive finite number"),
        ("w_s_value", (0.0, -0.5, float("nan")), "a positive finite number"),
        ("lambda_value", (-1, float("nan"), "5"), "a finite number, at least 0"),
        ("tau_value", (-1, float("nan"), None), "a finite number, at least 0"),
        ("memory_tau_min", (-1, float("nan")), "a finite number, at least 0"),
        ("memory_tau_max", (float("inf"), "1"), "a finite number, at least 0"),
        ("memory_tau_max", (1.5,), "at least memory_tau_min = 2.0"),
        ("learn_memory_tau", ("yes", 2, None), "one of True, False"),
        ("learn_tau", ("yes",), "one of True, False"),
        ("mlp_activation", ("tanh", None), "one of relu, silu"),
        ("backend", ("cuda", None), "one of auto, reference, numba, triton"),
        ("input_to_synapse_routing", ("neuronio", 3), "one of"),
    ],
)
def test_wrong_arguments_are_named(version, name, values, message):
    own = {"tau_value": "tau_s_value", "learn_tau": "learn_synapse_tau"}
    if version is ELMv2:
        own = {"tau_value": "tau_b_value", "learn_tau": "learn_branch_tau"}
    name = own.get(name, name)
    arguments = {"num_input": 12, "num_output": 2, "memory_tau_min": 2.0, "num_branch": 12}
    for value in values:
        with pytest.raises(ValueError, match=f"{name} must be {message}.*found {value!r}"):
            version(**arguments | {name: value})


def test_synapses_that_do_not_fit_the_inputs_are_refused(version):
    with pytest.raises(ValueError, match="num_branch or num_synapse_per_branch"):
        version(12, 2, num_branch=5)
