"""What no fast backend does, and gradients that are themselves differentiated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad


def transformed(*tensors: Tensor) -> str | None:
    """What PyTorch does to these tensors that only the reference takes part in, if anything."""
    if torch._C._are_functorch_transforms_active():
        return "cannot be transformed by torch.func"
    if torch.jit.is_tracing():
        return "cannot be traced"
    is_dual = forward_ad._current_level >= 0  # else no tensor has a tangent
    if is_dual and any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors):
        return "has no forward-mode derivative"
    return None


def differentiable_gradients(
    function: Callable[..., Tensor], arguments: Sequence[Tensor], grad: Tensor
) -> list[Tensor | None]:
    """Gradients of ``arguments``, for ``grad`` at ``function(*arguments)``, with a graph.

    Where a backward pass is to be differentiated (``torch.is_grad_enabled()`` is true in it), a
    backend repeats its forward pass through the reference with this.
    """
    arguments = [argument.view_as(argument) for argument in arguments]  # one may be there twice
    wanted = [argument for argument in arguments if argument.requires_grad]
    result = function(*arguments)
    found = iter(torch.autograd.grad(result, wanted, grad, create_graph=True))
    return [next(found) if argument.requires_grad else None for argument in arguments]
