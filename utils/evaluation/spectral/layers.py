"""What a network is built of, as a table."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from torch import nn

from utils.models.spectral.network import Batch, SpectralNetwork


def layer_table(model: SpectralNetwork, batch: Batch) -> pd.DataFrame:
    """Layers of a model in their order, and what they make of a batch.

    Returns
    -------
    Index = ``layer``; ``kind``, ``output`` (shape behind the batch, "" of layers that are used as
    parts of others) and ``parameters``, which add up to those of the model.
    """
    shapes: dict[nn.Module, tuple[int, ...]] = {}

    def remember(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            shapes[module] = tuple(output.shape[1:])

    layers = {name: module for name, module in model.named_modules() if _is_layer(module)}
    hooks = [module.register_forward_hook(remember) for module in layers.values()]
    was_training = model.training
    try:
        with torch.no_grad():
            model.eval()(batch[0], batch[1])
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    rows = [
        {
            "layer": name,
            "kind": type(module).__name__,
            "output": " x ".join(map(str, shapes.get(module, ()))),
            "parameters": sum(p.numel() for p in module.parameters(recurse=False)),
        }
        for name, module in layers.items()
    ]
    return pd.DataFrame(rows).set_index("layer")


def _is_layer(module: nn.Module) -> bool:
    """It has parameters of its own, or no parts."""
    own = any(True for _ in module.parameters(recurse=False))
    return own or not any(True for _ in module.children())
