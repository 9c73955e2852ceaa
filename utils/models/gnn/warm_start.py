"""A message model that begins where another fit of connectivity ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from utils.models.gnn.config import MessageConfig
from utils.models.gnn.messages import Connections, MessageModel

N_LEVELS = 200  # activities at which curves are learnt
N_POINTS = 1024  # of the curves, in a step
STEPS, LEARNING_RATE = 600, 1e-2


class Fit(Protocol):
    """What is known of a network, as :class:`~utils.models.gnn.ConnectivityFit` gives it."""

    connectivity: NDArray[np.float32]  # (neuron, neuron) [post, pre]

    def psi(self, u: ArrayLike, sender: int) -> NDArray[np.float32]:
        """What neuron ``sender`` sends."""

    def phi(self, u: ArrayLike, i: int) -> NDArray[np.float32]:
        """What neuron ``i`` does by itself."""


def model_from_fit(
    fit: Fit, activity: ArrayLike, config: MessageConfig | None = None, *, seed: int = 0
) -> MessageModel:
    """A message model with the W of a fit, and networks that have learnt its psi and phi.

    Embeddings are the leading components of how the curves of neurons differ.

    Parameters
    ----------
    fit : a ConnectivityFit, say.
    activity : (time, neuron), where psi and phi must be right.

    Raises
    ------
    ValueError
        A model whose psi sees both ends.
    """
    config = config or MessageConfig()
    if config.psi_sees == "both_ends":
        raise ValueError("a fit's psi knows senders only; use psi_sees='sender', or a fresh start")
    every = max(len(activity) // N_LEVELS, 1)
    frames = np.asarray(activity[::every], np.float32)
    frames = frames[np.isfinite(frames).all(axis=1)]
    levels = _levels(frames)
    neurons = range(frames.shape[1])
    own, sent = (_curves(curve, levels, neurons) for curve in (fit.phi, fit.psi))
    rates = np.stack([fit.phi(frames[:, i], i) for i in neurons], axis=1)
    rates += np.stack([fit.psi(frames[:, j], j) for j in neurons], axis=1) @ fit.connectivity.T
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MessageModel(
            len(neurons),
            config,
            activity_scale=float(frames.std()) or 1.0,
            rate_scale=float(rates.std()) or 1.0,
        )
        if not config.one_type:
            model.embeddings.data.copy_(_components([own, sent], config.embedding_dim))
        _set(model.weights, torch.from_numpy(fit.connectivity) / model.rate_scale)
        scaled, embeddings = levels / model.activity_scale, model.embeddings.detach()
        _learn(model.psi, scaled, embeddings, sent)
        _learn(model.phi, scaled, embeddings, own / model.rate_scale)
    return model


def _levels(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Activities as they are frequent, and as they are far apart."""
    shares = np.linspace(0, 1, N_LEVELS // 2)
    spread = np.linspace(frames.min(), frames.max(), N_LEVELS // 2)
    return np.sort(np.r_[np.quantile(frames, shares), spread]).astype(np.float32)


def _curves(
    curve: Callable[[ArrayLike, int], NDArray], levels: NDArray[np.float32], neurons: range
) -> NDArray[np.float32]:
    """(level, neuron)."""
    return np.stack([curve(levels, i) for i in neurons], axis=1).astype(np.float32)


def _components(curves: Sequence[NDArray[np.float32]], number: int) -> Tensor:
    """Curves (level, neuron) -> (neuron, number), of unit variance where they differ at all."""
    scaled = np.concatenate([values / (values.std() or 1.0) for values in curves]).T
    left, sizes, _ = np.linalg.svd(scaled - scaled.mean(axis=0), full_matrices=False)
    components = np.zeros((len(scaled), number), np.float32)
    kept = np.flatnonzero(sizes[:number] > 1e-4 * np.linalg.norm(scaled))
    components[:, kept] = left[:, kept] * np.sqrt(len(components))
    return torch.from_numpy(components)


@torch.no_grad()
def _set(connections: Connections, weights: Tensor) -> None:
    if connections.rank is None:
        connections.values.copy_(weights)
        return
    left, sizes, right = torch.linalg.svd(weights)
    kept = slice(connections.rank)
    connections.left.zero_()[:, : len(sizes)] = left[:, kept] * sizes[kept].sqrt()
    connections.right[: len(sizes)] = right[kept] * sizes[kept, None].sqrt()


def _learn(
    network: nn.Module,
    scaled: NDArray[np.float32],
    embeddings: Tensor,
    values: NDArray[np.float32],
) -> None:
    """Regress a network on curves (level, neuron), random points of which make a step."""
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    unit = float(values.std()) or 1.0
    for level, neuron in _points(*values.shape):
        predicted = network(torch.from_numpy(scaled)[level], embeddings[neuron])
        true = torch.from_numpy(values[level.numpy(), neuron.numpy()])
        loss = ((predicted - true) / unit).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _points(n_levels: int, n_neurons: int) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(STEPS):
        yield torch.randint(n_levels, (N_POINTS,)), torch.randint(n_neurons, (N_POINTS,))
