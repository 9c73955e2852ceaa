"""Compiled loops on CPUs give what the reference gives, and so do their gradients."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.testing import assert_close

from utils.models.elm import recurrence
from utils.models.elm.recurrence import Events, numba_backend, reference

Tensors = list[Tensor]
DOUBLE, SINGLE = torch.float64, torch.float32


def normal(*shape: int, dtype: torch.dtype = DOUBLE) -> Tensor:
    return torch.randn(shape, dtype=dtype)


def uniform(*shape: int, dtype: torch.dtype = DOUBLE) -> Tensor:
    return torch.rand(shape, dtype=dtype)


def memory_case(
    n_batch: int, n_frames: int, n_memory: int, n_hidden: int, n_layers: int, dtype=DOUBLE
) -> Tensors:
    """Inputs, recurrent, keep, gain, initial, and weight and bias of each layer."""
    n_hidden = n_hidden if n_layers else n_memory
    widths = [n_hidden] * n_layers + [n_memory]
    layers = [
        part
        for n_in, n_out in pairwise(widths)
        for part in (normal(n_out, n_in) / n_in**0.5, normal(n_out) / 3)
    ]
    first = normal(n_batch, n_frames, n_hidden), normal(n_hidden, n_memory) / n_memory**0.5
    state = 0.99 * uniform(n_memory), 0.3 * uniform(n_memory), normal(n_batch, n_memory)
    return [part.to(dtype) for part in (*first, *state, *layers)]


def memory_with(backend, activation: str) -> Callable[..., Tensor]:
    def memory(*parts: Tensor) -> Tensor:
        inputs, recurrent, keep, gain, initial, *layers = parts
        layers = list(zip(layers[::2], layers[1::2]))
        return backend.memory_recurrence(inputs, recurrent, layers, keep, gain, initial, activation)

    return memory


def random_events(n_batch: int, n_frames: int, n_inputs: int, with_val: bool) -> Events:
    """Up to four a frame, inputs repeat; samples in reverse order and apart from each other."""
    counts = torch.randint(0, 5, (n_batch, n_frames))
    ends = torch.cat([torch.zeros(n_batch, 1, dtype=torch.int64), counts.cumsum(1)], dim=1)
    room = 4 * n_frames + 3
    ptr = ends + room * torch.arange(n_batch).flip(0)[:, None]
    idx = torch.randint(0, n_inputs, (room * n_batch,), dtype=torch.int32)
    return Events(idx, ptr, torch.randint(-2, 3, idx.shape) if with_val else None)


def primitives(dtype: torch.dtype = DOUBLE, n_frames: int = 9) -> dict[str, tuple]:
    """(function of a backend and tensors, tensors) by name, small."""
    torch.manual_seed(0)
    events = random_events(3, n_frames, 11, True)
    index = torch.randint(0, 11, (6,))
    by_name = {
        "filter_dense": (
            lambda backend, *parts: backend.filter_dense(*parts),
            [normal(3, n_frames, 5), uniform(5), normal(3, 5)],
        ),
        "filter_events": (
            lambda backend, *parts: backend.filter_events(events, *parts),
            [normal(11, 5), uniform(5), normal(3, 5)],
        ),
        "filter_synapses": (
            lambda backend, inputs, *parts: backend.filter_synapses(inputs, index, *parts, 2),
            [normal(3, n_frames, 11), normal(6), uniform(6), normal(3, 6)],
        ),
    }
    for activation in ("relu", "silu"):
        by_name[f"memory_{activation}"] = (
            lambda backend, *parts, activation=activation: memory_with(backend, activation)(*parts),
            memory_case(3, n_frames, 4, 6, 2),
        )
    return {
        name: (function, [part.to(dtype) for part in parts])
        for name, (function, parts) in by_name.items()
    }


NAMES = list(primitives())


def outputs_and_gradients(function: Callable, parts: Tensors) -> tuple[Tensors, Tensors]:
    parts = [part.detach().requires_grad_() for part in parts]
    outputs = function(*parts)
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(o.shape, generator=generator).to(o.dtype) for o in outputs]
    return outputs, list(torch.autograd.grad(outputs, parts, weights))


def check_like_reference(function: Callable, parts: Tensors) -> None:
    """To rounding in float64; in float32 a ReLU near 0 may fall on its other side."""
    is_double = parts[0].dtype == DOUBLE
    outputs, gradients = outputs_and_gradients(lambda *p: function(numba_backend, *p), parts)
    doubles = [part.double() for part in parts]
    truths, slopes = outputs_and_gradients(lambda *p: function(reference, *p), doubles)
    for found, truth in zip(outputs, truths, strict=True):
        assert found.dtype == parts[0].dtype
        error = (1e-12 if is_double else 1e-5) * max(1.0, truth.detach().abs().max().item())
        assert_close(found.double(), truth, rtol=0, atol=error)
    for found, truth in zip(gradients, slopes, strict=True):
        assert found.shape == truth.shape
        error = torch.linalg.vector_norm(found.double() - truth)
        assert error <= (1e-12 if is_double else 1e-3) * torch.linalg.vector_norm(truth)


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE], ids=str)
@pytest.mark.parametrize("seed", range(12))
def test_memory_of_any_size(seed: int, dtype: torch.dtype) -> None:
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    n_batch, n_memory, n_hidden = (int(random.integers(1, most)) for most in (18, 30, 50))
    n_frames = int(random.choice([1, 2, 7, 40])) if seed else 1500
    activation, n_layers = str(random.choice(["relu", "silu"])), seed % 4
    parts = memory_case(n_batch, n_frames, n_memory, n_hidden, n_layers, dtype)
    check_like_reference(lambda backend, *p: memory_with(backend, activation)(*p), parts)


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE], ids=str)
@pytest.mark.parametrize("seed", range(8))
def test_filters_of_any_size(seed: int, dtype: torch.dtype) -> None:
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    n_batch, n_inputs, n_branches, per_branch = (int(n) for n in random.integers(1, 9, 4))
    n_frames = int(random.choice([1, 2, 7, 40])) if seed else 1500
    kappa, initial = uniform(n_branches, dtype=dtype), normal(n_batch, n_branches, dtype=dtype)
    drive = normal(n_batch, n_frames, n_branches, dtype=dtype)
    check_like_reference(lambda b, *p: b.filter_dense(*p), [drive, kappa, initial])

    events = random_events(n_batch, n_frames, n_inputs, with_val=bool(seed % 2))
    weights = normal(n_inputs, n_branches, dtype=dtype)
    check_like_reference(lambda b, *p: b.filter_events(events, *p), [weights, kappa, initial])

    n_synapses = n_branches * per_branch
    index = torch.randint(0, n_inputs, (n_synapses,))
    inputs = normal(n_batch, n_frames, n_inputs, dtype=dtype)
    synapses = normal(n_synapses, dtype=dtype), uniform(n_synapses, dtype=dtype)
    parts = [inputs, *synapses, normal(n_batch, n_synapses, dtype=dtype)]
    check_like_reference(lambda b, x, *p: b.filter_synapses(x, index, *p, n_branches), parts)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_derivatives(name: str) -> None:
    function, parts = primitives(n_frames=4)[name]
    parts = [part.requires_grad_() for part in parts]
    assert torch.autograd.gradcheck(lambda *p: function(numba_backend, *p), parts)


@pytest.mark.parametrize("name", NAMES)
def test_second_derivatives(name: str) -> None:
    function, parts = primitives()[name]
    found = []
    for backend in (numba_backend, reference):
        parts = [part.detach().requires_grad_() for part in parts]
        outputs = function(backend, *(part / 2 for part in parts))
        total = sum(o.square().sum() for o in ([outputs] if torch.is_tensor(outputs) else outputs))
        gradients = torch.autograd.grad(total, parts, create_graph=True)
        penalty = sum(gradient.square().sum() for gradient in gradients)
        found.append([*gradients, *torch.autograd.grad(penalty, parts)])
    assert_close(*found, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_where_one_part_is_made_from_another(name: str) -> None:
    function, parts = primitives()[name]
    found = []
    for backend in (numba_backend, reference):
        root = torch.ones((), dtype=DOUBLE, requires_grad=True)
        made = [root * part for part in parts]
        made[-1] = made[-1] * made[-2].sum()
        outputs = function(backend, *made)
        total = sum(o.sum() for o in ([outputs] if torch.is_tensor(outputs) else outputs))
        for create_graph in (True, False):
            found.append(torch.autograd.grad(total, root, create_graph=create_graph)[0])
    assert_close(torch.stack(found), found[-1].expand(4), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_batches_of_none_strides_and_repeated_backward(name: str) -> None:
    function, parts = primitives()[name]
    expected = outputs_and_gradients(lambda *p: function(numba_backend, *p), parts)
    strided = [torch.stack([part, part], dim=-1)[..., 0] for part in parts]
    found = outputs_and_gradients(lambda *p: function(numba_backend, *p), strided)
    assert_close(found, expected, rtol=0, atol=0)

    parts = [part.requires_grad_() for part in parts]
    outputs = function(numba_backend, *parts)
    total = sum(o.sum() for o in ([outputs] if torch.is_tensor(outputs) else outputs))
    twice = [torch.autograd.grad(total, parts, retain_graph=True) for _ in range(2)]
    assert_close(*twice, rtol=0, atol=0)

    if name != "filter_events":  # which has its batch from the events
        batched = [part[:0] if part.ndim > 1 and len(part) == 3 else part for part in parts]
        outputs, gradients = outputs_and_gradients(lambda *p: function(numba_backend, *p), batched)
        assert all(len(output) == 0 for output in outputs)
        assert all(not gradient.any() for gradient in gradients)


@pytest.mark.parametrize("name", NAMES)
def test_nan_is_never_hidden(name: str) -> None:
    function, parts = primitives(n_frames=5)[name]
    if name == "filter_events":
        parts[2][1] = torch.nan
    else:
        parts[0][1, 2] = torch.nan
    outputs, gradients = outputs_and_gradients(lambda *p: function(numba_backend, *p), parts)
    frames = outputs[0].isnan().flatten(2).all(2)  # (batch, time)
    first = 0 if name == "filter_events" else 2
    assert frames[1].tolist() == [frame >= first for frame in range(5)]
    assert not frames[[0, 2]].any()
    assert gradients[1].isnan().any()


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_without_gradients_nothing_else_changes(activation: str) -> None:
    parts = memory_case(5, 20, 4, 6, 1)
    memory = memory_with(numba_backend, activation)
    with torch.no_grad():
        alone = memory(*parts)
    assert_close(alone, memory(*(part.requires_grad_() for part in parts)), rtol=0, atol=0)


@pytest.mark.parametrize("n_frames", [1, 6])
def test_no_events_and_all_in_one_frame(n_frames: int) -> None:
    weights, kappa, initial = normal(4, 3), uniform(3), normal(2, 3)
    nothing = Events(torch.empty(0, dtype=torch.int64), torch.zeros(2, n_frames + 1).long())
    drive = torch.zeros(2, n_frames, 3, dtype=DOUBLE)
    found = numba_backend.filter_events(nothing, weights, kappa, initial)
    assert_close(found, reference.filter_dense(drive, kappa, initial))

    ptr = torch.full((2, n_frames + 1), 8)
    ptr[:, 0] = torch.tensor([0, 4])
    crowd = Events(torch.tensor([0, 1, 1, 3, 2, 2, 2, 2]), ptr)
    found = numba_backend.filter_events(crowd, weights, kappa, initial)
    drive[0, 0] = weights[[0, 1, 1, 3, 2, 2, 2, 2]].sum(0)
    drive[1, 0] = 4 * weights[2]
    assert_close(found, reference.filter_dense(drive, kappa, initial))


@pytest.mark.parametrize(
    ("idx", "ptr", "message"),
    [
        ([0, 4], [[0, 1, 2]], "num_input - 1 = 3, found 0 to 4"),
        ([-1, 2], [[0, 1, 2]], "found -1 to 2"),
        ([0, 1], [[0, 1, 3]], "ptr"),
        ([0, 1], [[-1, 1, 2]], "ptr"),
    ],
)
def test_events_that_are_nowhere(idx: list[int], ptr: list[list[int]], message: str) -> None:
    events = Events(torch.tensor(idx), torch.tensor(ptr))
    with pytest.raises(ValueError, match=message):
        numba_backend.filter_events(events, normal(4, 3), uniform(3), normal(1, 3))


def saved_numbers(function: Callable, parts: Tensors) -> int:
    """Numbers that a backward pass holds on to, besides the parts themselves."""
    sizes = {}
    own = {part.data_ptr() for part in parts}

    def note(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            sizes[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        function(*(part.requires_grad_() for part in parts))
    return sum(sizes.values())


def test_nothing_of_synapses_is_kept_over_time() -> None:
    index = torch.arange(60) % 4
    for n_frames in (10, 100):
        parts = [normal(2, n_frames, 4), normal(60), uniform(60), normal(2, 60)]
        kept = saved_numbers(lambda x, *p: numba_backend.filter_synapses(x, index, *p, 3), parts)
        assert kept == len(index)


def test_what_the_memory_keeps() -> None:
    parts = memory_case(2, 50, 4, 8, 2)
    kept = saved_numbers(memory_with(numba_backend, "silu"), parts)
    assert kept == 2 * 50 * (4 + 4 + 8 + 8)  # memory, tanh, two hidden layers


TRANSFORMS = {
    "torch.func": lambda f, x: torch.func.grad(lambda x: f(x).sum())(x),
    "vmap": lambda f, x: torch.func.vmap(f)(x[None]),
    "forward-mode": lambda f, x: torch.func.jvp(f, (x,), (x,))[1],
    "traced": lambda f, x: torch.jit.trace(f, x, check_trace=False)(x),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_transforms_fall_back(transform: str) -> None:
    inputs, recurrent, keep, gain, initial, *layers = memory_case(3, 5, 4, 6, 1)

    def memory(inputs: Tensor, backend: str) -> Tensor:
        return recurrence.memory_recurrence(
            inputs, recurrent, [tuple(layers)], keep, gain, initial, "silu", backend
        )

    found, expected = (
        TRANSFORMS[transform](lambda x, backend=backend: memory(x, backend), inputs)
        for backend in ("numba", "reference")
    )
    assert_close(found, expected)


@pytest.mark.parametrize("backend", ["auto", "numba"])
def test_other_types_fall_back_with_one_line(
    backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    recurrence._log_once.cache_clear()
    parts = [part.bfloat16() for part in (normal(2, 5, 3), uniform(3), normal(2, 3))]
    for _ in range(2):
        found = recurrence.filter_dense(*parts, backend=backend)
        assert_close(found, reference.filter_dense(*parts), rtol=0, atol=0)
    assert [record.getMessage() for record in caplog.records] == [
        "filter_dense: backend 'numba' takes tensors that are all float32 or all float64, found "
        "['torch.bfloat16']; the reference in PyTorch is used"
    ]


def test_hidden_layers_of_several_widths_fall_back() -> None:
    inputs, recurrent, keep, gain, initial, *_ = memory_case(2, 7, 4, 6, 1)
    layers = [(normal(5, 6), normal(5)), (normal(4, 5), normal(4))]
    arguments = inputs, recurrent, layers, keep, gain, initial, "relu"
    found = recurrence.memory_recurrence(*arguments, backend="numba")
    assert_close(found, reference.memory_recurrence(*arguments))


def test_matrices_beyond_the_cache_fall_back() -> None:
    parts = memory_case(1, 2, 300, 900, 1)
    assert numba_backend.why_not("memory_recurrence", *parts[:2], *parts[5:], *parts[2:5])
    parts = memory_case(1, 2, 100, 200, 1)
    assert numba_backend.why_not("memory_recurrence", *parts[:2], *parts[5:], *parts[2:5]) is None


@pytest.mark.parametrize("density", [0.0, 0.03, 0.9])
@pytest.mark.parametrize("dtype", [torch.int8, torch.float32, torch.bool], ids=str)
def test_dense_inputs_of_any_density_and_type(density: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    inputs = (torch.rand(2, 50, 40) < density).to(dtype)
    weights, kappa, initial = (normal(40, 3), uniform(3), normal(2, 3))
    found = recurrence.filter_inputs(inputs, weights, kappa, initial)
    assert_close(found, reference.filter_dense(inputs.double() @ weights, kappa, initial))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_gradient_of_dense_inputs() -> None:
    weights, kappa = normal(40, 3), uniform(3)

    def filtered(inputs: Tensor, backend: str = "auto") -> Tensor:
        return recurrence.filter_inputs(inputs, weights, kappa, torch.zeros(2, 3).double(), backend)

    silence = torch.zeros(2, 5, 40, dtype=DOUBLE)
    slopes = torch.autograd.functional.jacobian(filtered, silence)
    assert_close(slopes, torch.autograd.functional.jacobian(filtered, normal(2, 5, 40)))
    with forward_ad.dual_level():
        inputs = forward_ad.make_dual(silence, normal(2, 5, 40))
        found, expected = (
            forward_ad.unpack_dual(filtered(inputs, backend)).tangent
            for backend in ("auto", "reference")
        )
    assert_close(found, expected)
