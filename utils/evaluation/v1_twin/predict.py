"""A model as a function from frames to rates: all that probes need to know of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from utils.models.v1_twin.twin import V1Twin

Predict = Callable[[Tensor, Tensor | None], Tensor]
"""``rates = predict(stimulus, behavior)``.

``stimulus`` is (batch, frame, H, W), uint8 grey levels or floats as the model takes them;
``behavior`` is (batch, frame, D) or None; rates are (batch, bin, cell) counts per bin of the last
frames, one for each that has enough frames before it. Gradients with respect to the stimulus pass.
"""


def twin_predict(model: V1Twin, dataset: str) -> Predict:
    """A twin's rates for the cells of one data set, on the twin's device, in evaluation mode.

    It has to be one without a history of responses: what it makes up has none.
    """
    model.eval()
    device = next(model.parameters()).device

    def predict(stimulus: Tensor, behavior: Tensor | None) -> Tensor:
        behavior = None if behavior is None else behavior.to(device)
        return model(dataset, stimulus.to(device), behavior)

    return predict


def without_behavior(predict: Predict) -> Predict:
    """The same model, fed with the behaviour of another sequence of the batch.

    So the model still sees natural behaviour, as often and as strong, which says nothing of the
    moment: what is lost is what behaviour tells, not the habit of its presence. Sequence i gets
    that of sequence i + n // 2, far away in a batch in order of time.
    """

    def ablated(stimulus: Tensor, behavior: Tensor | None) -> Tensor:
        if behavior is None or len(behavior) < 2:
            raise ValueError(
                "to take behaviour away, batches need the behaviour of at least 2 sequences; found "
                + ("none" if behavior is None else "1")
            )
        return predict(stimulus, behavior.roll(len(behavior) // 2, 0))

    return ablated


@torch.no_grad()
def rates_of(
    predict: Predict, stimulus: NDArray, behavior: NDArray | None = None, batch_size: int = 8
) -> NDArray[np.float32]:
    """Rates (sequence, bin, cell) of frames (sequence, frame, H, W), some sequences at a time.

    ``behavior`` (D,) is the same at all times; None for a model that does not look at it.
    """
    parts = []
    for first in range(0, len(stimulus), batch_size):
        frames = torch.from_numpy(stimulus[first : first + batch_size])
        parts.append(predict(frames, constant_behavior(behavior, frames)).float().cpu().numpy())
    return np.concatenate(parts)


def constant_behavior(behavior: NDArray | None, stimulus: Tensor) -> Tensor | None:
    """Behaviour (batch, frame, D) that stays at ``behavior`` (D,)."""
    if behavior is None:
        return None
    constant = torch.as_tensor(np.asarray(behavior, np.float32))
    return constant.expand(*stimulus.shape[:2], -1)
