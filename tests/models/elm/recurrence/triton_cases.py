"""Kernels against the reference, on a GPU or in Triton's interpreter; ``test_triton`` runs this."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from utils.models.elm import ELMv2
from utils.models.elm.recurrence import Events, reference, triton_backend

DEVICE = triton_backend.DEVICE
FLOAT, DOUBLE = torch.float32, torch.float64
TOLERANCE = {FLOAT: {"rtol": 1e-4, "atol": 1e-5}, DOUBLE: {"rtol": 1e-11, "atol": 1e-12}}


@pytest.fixture
def random():
    return torch.Generator(DEVICE).manual_seed(3)


def normal(random: torch.Generator, *shape: int, dtype: torch.dtype = DOUBLE) -> Tensor:
    return torch.randn(*shape, generator=random, dtype=dtype, device=DEVICE)


def network(random, n_memory, n_hidden, depth, dtype=DOUBLE, batch=2, time=4) -> list[Tensor]:
    """Arguments of memory_recurrence, those of the layers last."""

    def make(*shape):
        return normal(random, *shape, dtype=dtype) / shape[-1] ** 0.5

    widths = [n_hidden] * depth + [n_memory] * (depth > 0)
    layers = [part for i, o in pairwise(widths) for part in (make(o, i), make(o))]
    keep, gain = make(n_memory).sigmoid(), make(n_memory).exp()
    inputs = normal(random, batch, time, n_hidden, dtype=dtype)
    recurrent, initial = make(n_hidden, n_memory), make(batch, n_memory)
    return [inputs, recurrent, keep, gain, initial, *layers]


def recurrence(backend, activation="relu"):
    """memory_recurrence of what :func:`network` gives."""

    def run(inputs, recurrent, keep, gain, initial, *layers):
        layers = list(zip(layers[::2], layers[1::2]))
        return backend.memory_recurrence(inputs, recurrent, layers, keep, gain, initial, activation)

    return run


def with_gradients(function, arguments: list[Tensor]) -> list[Tensor]:
    """The result, and gradients of a sum with weights that differ between its entries."""
    arguments = [argument.detach().requires_grad_() for argument in arguments]
    result = function(*arguments)
    weights = torch.linspace(-1, 2, result.numel(), dtype=result.dtype, device=result.device)
    return [result, *torch.autograd.grad(result, arguments, weights.view_as(result))]


def assert_same(fast, slow, arguments: list[Tensor]) -> None:
    found, expected = with_gradients(fast, arguments), with_gradients(slow, arguments)
    for values, wanted in zip(found, expected, strict=True):
        assert_close(values, wanted, **TOLERANCE[arguments[0].dtype])


@pytest.mark.parametrize("dtype", [FLOAT, DOUBLE])
@pytest.mark.parametrize(("batch", "time", "channels"), [(1, 1, 1), (2, 5, 17), (1, 70, 5)])
def test_dense_filter(random, batch, time, channels, dtype):
    drive = normal(random, batch, time, channels, dtype=dtype)
    kappa = normal(random, channels, dtype=dtype).sigmoid()
    initial = normal(random, batch, channels, dtype=dtype)
    assert_same(triton_backend.filter_dense, reference.filter_dense, [drive, kappa, initial])


def test_filter_that_keeps_all_or_nothing(random):
    drive, initial = normal(random, 1, 67, 2), normal(random, 1, 2)
    kappa = torch.tensor([0.0, 1.0], dtype=DOUBLE, device=DEVICE)
    filtered = triton_backend.filter_dense(drive, kappa, initial)
    assert_close(filtered[..., 0], drive[..., 0])
    assert_close(filtered[..., 1], drive[..., 1].cumsum(1) + initial[:, None, 1])


def test_filter_differentiated_twice(random):
    arguments = [normal(random, 1, 3, 2), normal(random, 2), normal(random, 1, 2)]
    arguments = [argument.requires_grad_() for argument in arguments]
    assert torch.autograd.gradcheck(triton_backend.filter_dense, arguments)
    assert torch.autograd.gradgradcheck(triton_backend.filter_dense, arguments)


@pytest.mark.parametrize("valued", [True, False])
def test_filtered_events(random, valued):
    idx = torch.tensor([9, 2, 0, 0, 1, 2, 9], dtype=torch.int16, device=DEVICE)
    ptr = torch.tensor([[5, 5, 6, 6], [1, 4, 4, 5]], device=DEVICE)  # of no sample: both 9
    val = torch.arange(7, device=DEVICE) if valued else None
    weights, initial = normal(random, 3, 4), normal(random, 2, 4)
    kappa = normal(random, 4).sigmoid()

    def function(backend):
        return lambda *tensors: backend.filter_events(Events(idx, ptr, val), *tensors)

    assert_same(function(triton_backend), function(reference), [weights, kappa, initial])


@pytest.mark.parametrize("dtype", [FLOAT, DOUBLE])
@pytest.mark.parametrize(
    ("sizes", "activation"),
    [
        ((1, 1, 0), "relu"),
        ((17, 17, 0), "relu"),
        ((1, 1, 1), "silu"),
        ((5, 11, 1), "relu"),
        ((15, 33, 1), "silu"),
        ((33, 15, 1), "relu"),
        ((5, 7, 2), "relu"),
        ((3, 17, 3), "silu"),
    ],
    ids=str,
)
def test_memory(random, sizes, activation, dtype):
    arguments = network(random, *sizes, dtype)
    fast, slow = (recurrence(backend, activation) for backend in (triton_backend, reference))
    assert_same(fast, slow, arguments)


@pytest.mark.parametrize("seed", range(6))
def test_memory_of_random_sizes(seed):
    random = torch.Generator(DEVICE).manual_seed(seed)
    batch, time, n_memory, n_hidden = torch.randint(1, 7, (4,), generator=random, device=DEVICE)
    depth = seed % 3
    n_hidden = n_hidden if depth else n_memory
    sizes = int(n_memory), int(n_hidden), depth, DOUBLE, int(batch), int(time)
    activation = "silu" if seed < 3 else "relu"
    fast, slow = (recurrence(backend, activation) for backend in (triton_backend, reference))
    assert_same(fast, slow, network(random, *sizes))


@pytest.mark.parametrize("depth", [1, 2])
def test_weights_that_do_not_stay_in_registers(random, monkeypatch, depth):
    arguments = network(random, 5, 6, depth)
    held = with_gradients(recurrence(triton_backend), arguments)
    monkeypatch.setattr(triton_backend, "TWO_FIT", 0)
    read_again = with_gradients(recurrence(triton_backend), arguments)
    assert_close(read_again, held, rtol=0, atol=0)


def test_without_gradients_the_memory_is_the_same(random):
    arguments = network(random, 5, 6, 2)
    memory = recurrence(triton_backend)(*arguments)
    assert not memory.requires_grad
    assert_close(memory, with_gradients(recurrence(triton_backend), arguments)[0], rtol=0, atol=0)


def test_memory_differentiated_twice(random):
    arguments = [part.requires_grad_() for part in network(random, 2, 3, 1, batch=1, time=3)]
    assert torch.autograd.gradgradcheck(recurrence(triton_backend, "silu"), arguments)


def test_tensors_in_any_layout(random):
    def every_other(part):
        return torch.stack([part, torch.full_like(part, torch.nan)], dim=-1)[..., 0]

    arguments = [every_other(part) for part in network(random, 5, 6, 2)]
    arguments[2] = arguments[2][:1].expand(5)
    assert_same(recurrence(triton_backend), recurrence(reference), arguments)
    filtering = [arguments[0].mT, arguments[0][0, 0, :4].sigmoid(), arguments[0][:, :, 0]]
    assert_same(triton_backend.filter_dense, reference.filter_dense, filtering)


@pytest.mark.parametrize("dtype", [FLOAT, DOUBLE])
def test_tanh_is_precise_from_tiny_to_huge(dtype):
    """One frame, no layers, memory that forgets: the memory is the tanh of the input."""
    z = torch.logspace(-30, 3, 64, dtype=dtype, device=DEVICE) * 1.5
    z = torch.cat([z, -z, z.new_tensor([0, 0.94, 0.95, -0.94, -0.95])])[:, None]
    one = torch.ones(1, dtype=dtype, device=DEVICE)
    memory = triton_backend.memory_recurrence(
        z[:, None], 0 * one[None], [], 0 * one, one, 0 * z, "relu"
    )
    expected = reference.TANH_SCALE * torch.tanh(z / 1.5)
    assert_close(memory[:, 0], expected, rtol=16 * torch.finfo(dtype).eps, atol=0)


def test_nan_stays_in_its_sample(random):
    arguments = network(random, 5, 6, 1)
    arguments[0][0, 2] = torch.nan
    memory = recurrence(triton_backend)(*arguments)
    expected = recurrence(reference)(*arguments)
    assert_close(memory, expected, equal_nan=True)
    assert memory[0, 2:].isnan().all()
    assert not memory[1].isnan().any()


def test_what_is_left_to_the_reference(random):
    inputs, recurrent, keep, gain, initial, *layers = network(random, 5, 6, 2)

    def why_not(*layers, recurrent=recurrent):
        return triton_backend.why_not(
            "memory_recurrence", inputs, recurrent, *layers, keep, gain, initial
        )

    assert why_not(*layers) is None
    assert "one width" in why_not(normal(random, 9, 6), normal(random, 9), *layers[2:])
    assert "no room for 300 memory" in why_not(recurrent=normal(random, 300, 300))
    assert "empty" in triton_backend.why_not("filter_dense", inputs[:0], keep, initial)
    assert "float32" in triton_backend.why_not("filter_dense", inputs, keep.float(), initial)
    assert "no kernel" in triton_backend.why_not("filter_synapses", inputs, keep, initial)
    assert "cannot launch" in triton_backend._failure(torch.device("meta"))
    assert f"one {DEVICE} device" in triton_backend.why_not("filter_dense", inputs.to("meta"))


def test_a_neuron(random):
    neuron = ELMv2(6, 2, num_memory=5, learn_memory_tau=True, backend="triton")
    neuron = neuron.to(DEVICE, DOUBLE)
    spikes = (torch.rand(2, 7, 6, generator=random, device=DEVICE) < 0.3).double()

    def train(backend):
        neuron.backend = backend
        neuron.zero_grad()
        output = neuron(spikes)
        output.square().sum().backward()
        gradients = {n: p.grad.clone() for n, p in neuron.named_parameters() if p.requires_grad}
        return {"output": output, **gradients}

    assert_close(train("triton"), train("reference"))
