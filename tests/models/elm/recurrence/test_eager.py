"""Gradients derived by hand in plain PyTorch equal what autograd makes of the definitions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from utils.models.elm.recurrence import eager, memory_recurrence, reference

N_BATCH, N_MEMORY = 3, 4


def _parts(widths: list[int], n_frames: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Inputs, recurrent, keep, gain, initial; then weight and bias per layer. ``widths`` of what
    goes into each activation."""
    torch.manual_seed(0)
    shapes = [(N_BATCH, n_frames, widths[0]), (widths[0], N_MEMORY), (N_MEMORY,), (N_MEMORY,)]
    shapes.append((N_BATCH, N_MEMORY))
    for n_in, n_out in zip(widths, [*widths[1:], N_MEMORY]):
        shapes += [(n_out, n_in), (n_out,)]
    return [torch.rand(shape, dtype=dtype).sub(0.3).requires_grad_() for shape in shapes]


def _run(recurrence: Callable, parts: list[Tensor], activation: str, **options: str) -> Tensor:
    inputs, recurrent, keep, gain, initial, *layers = parts
    layers = list(zip(layers[::2], layers[1::2]))
    return recurrence(inputs, recurrent, layers, keep, gain, initial, activation, **options)


def _with_both_gradients(function: Callable[[], Tensor], parts: list[Tensor]) -> list[Tensor]:
    """The result, gradients of a loss, and gradients of a penalty on these."""
    result = function()
    loss = result.sin().sum()
    gradients = torch.autograd.grad(loss, parts, create_graph=True)
    penalty = sum(gradient.square().sum() for gradient in gradients)
    once = torch.autograd.grad(loss, parts, retain_graph=True)
    return [result, *once, *torch.autograd.grad(penalty, parts)]


def _assert_close(found: list[Tensor], expected: list[Tensor]) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n_frames", [1, 2, 9])
def test_filter_and_both_gradients(n_frames: int) -> None:
    torch.manual_seed(0)
    shapes = (N_BATCH, n_frames, 5), (5,), (N_BATCH, 5)
    parts = [torch.rand(shape, dtype=torch.float64).requires_grad_() for shape in shapes]
    found, expected = (
        _with_both_gradients(partial(module.filter_dense, *parts), parts)
        for module in (eager, reference)
    )
    _assert_close(found, expected)


@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("widths", [[6], [6, 6], [5, 7, 6]])
@pytest.mark.parametrize("n_frames", [1, 9])
def test_memory_and_both_gradients(activation: str, widths: list[int], n_frames: int) -> None:
    parts = _parts(widths, n_frames)
    found, expected = (
        _with_both_gradients(partial(_run, module.memory_recurrence, parts, activation), parts)
        for module in (eager, reference)
    )
    _assert_close(found, expected)


def test_no_layer_behind_the_first() -> None:
    parts = _parts([N_MEMORY], 9)[:5]
    found, expected = (
        _with_both_gradients(partial(_run, module.memory_recurrence, parts, "relu"), parts)
        for module in (eager, reference)
    )
    _assert_close(found, expected)


def test_no_gradient_of_decays_that_are_not_trained() -> None:
    parts = _parts([6], 5)
    for decay in parts[2:4]:
        decay.requires_grad_(False)
    _run(eager.memory_recurrence, parts, "relu").sum().backward()
    assert [part.grad is not None for part in parts] == [True, True, False, False, *[True] * 3]


def test_what_the_backend_called_reference_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    original = eager.memory_recurrence
    monkeypatch.setattr(eager, "memory_recurrence", lambda *a: used.append(1) or original(*a))
    parts = _parts([6], 5)
    _run(memory_recurrence, parts, "relu", backend="reference")
    assert used == [1]

    def loss(inputs: Tensor) -> Tensor:
        return _run(memory_recurrence, [inputs, *parts[1:]], "relu", backend="reference").sum()

    found = torch.func.grad(loss)(parts[0].detach())
    mixed = [parts[0].float(), *parts[1:]]
    with pytest.raises(RuntimeError, match="dtype"):  # as of the definition: nothing is cast
        _run(memory_recurrence, mixed, "relu", backend="reference")
    assert used == [1], "transforms and mixed types are left to the definition"
    torch.testing.assert_close(found, torch.autograd.grad(loss(parts[0]), parts[0])[0])


def test_autocast_is_left_to_the_definition() -> None:
    parts = _parts([6], 5, torch.float32)
    assert eager.can(*parts)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not eager.can(*parts)
