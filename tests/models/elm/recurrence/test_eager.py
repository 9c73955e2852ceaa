"""The gradient derived by hand in plain PyTorch equals what autograd makes of the definition."""

from __future__ import annotations

from collections.abc import Callable

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


@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("widths", [[6], [6, 6], [5, 7, 6]])
@pytest.mark.parametrize("n_frames", [1, 9])
def test_memory_and_both_gradients(activation: str, widths: list[int], n_frames: int) -> None:
    parts = _parts(widths, n_frames)
    found, expected = [], []
    for recurrence, results in ((eager, found), (reference, expected)):
        memory = _run(recurrence.memory_recurrence, parts, activation)
        loss = memory.sin().sum()
        gradients = torch.autograd.grad(loss, parts, create_graph=True)
        penalty = sum(gradient.square().sum() for gradient in gradients)
        results += [memory, *torch.autograd.grad(loss, parts, retain_graph=True)]
        results += torch.autograd.grad(penalty, parts)
    for value, truth in zip(found, expected, strict=True):
        torch.testing.assert_close(value, truth, rtol=1e-10, atol=1e-10)


def test_no_layer_behind_the_first() -> None:
    parts = _parts([N_MEMORY], 9)[:5]
    found = torch.autograd.grad(_run(eager.memory_recurrence, parts, "relu").sin().sum(), parts)
    memory = _run(reference.memory_recurrence, parts, "relu")
    expected = torch.autograd.grad(memory.sin().sum(), parts)
    torch.testing.assert_close(found, expected)


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
