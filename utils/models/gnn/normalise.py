"""W, psi and phi of a message model in units that can be compared.

The data know W and psi only up to a factor that wanders between them, and psi only up to a constant
(sum_j W_ij c is as good a part of phi_i). Here ``psi(0) = 0``, the standard deviation of psi over
the activity of all neurons is 1, and psi rises in the mean.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from utils.models.gnn.messages import EdgeNetwork, MessageModel

N_LEVELS = 500  # activities at which psi is looked at


class NormalisedModel:
    """What a message model has learnt, as float32 arrays and functions of arrays.

    Each sender's psi is normalised by itself where psi sees embeddings. Where it sees the receiver,
    too, psi is that to a receiver like the sender, and constants stay in it.

    Parameters
    ----------
    model : on the CPU.
    activity : (time, neuron) frames over which psi has unit deviation.
    """

    connectivity: NDArray[np.float32]  # (neuron, neuron) [post, pre]
    embeddings: NDArray[np.float32]  # (neuron, dim)
    levels: NDArray[np.float32]  # (level,) activities of all neurons, as quantiles

    @torch.no_grad()
    def __init__(self, model: MessageModel, activity: NDArray[np.float32]) -> None:
        self._model = model
        quantiles = (np.arange(N_LEVELS) + 0.5) / N_LEVELS
        self.levels = np.quantile(activity, quantiles).astype(np.float32)
        levels = torch.from_numpy(self.levels)
        sent = self._psi(levels)  # (level, neuron)
        rising = ((levels - levels.mean())[:, None] * sent).mean(dim=0) >= 0
        spread = sent.std(dim=0, correction=0)
        self._scale = torch.where(spread > 0, spread, 1.0) * torch.where(rising, 1.0, -1.0)
        self._offset = self._psi(torch.zeros(1))[0]
        if isinstance(model.psi, EdgeNetwork):
            self._offset = torch.zeros_like(self._offset)
        weights = model.rate_scale * model.connectivity
        self._constant = weights @ self._offset  # (neuron,), what messages leave to phi
        self.connectivity = (weights * self._scale).numpy()
        self.embeddings = model.embeddings.detach().numpy().copy()

    def psi(self, u: ArrayLike, sender: int = 0) -> NDArray[np.float32]:
        """The message that neuron ``sender`` sends at activity ``u`` (any shape), without units."""
        return self.psi_of_all(np.ravel(u))[:, sender].reshape(np.shape(u))

    def phi(self, u: ArrayLike, i: int) -> NDArray[np.float32]:
        """What neuron ``i`` does by itself at activity ``u`` (any shape), per unit of time."""
        return self.phi_of_all(np.ravel(u))[:, i].reshape(np.shape(u))

    @torch.no_grad()
    def psi_of_all(self, u: ArrayLike) -> NDArray[np.float32]:
        """Messages of all neurons at the same activities, (level,) -> (level, neuron)."""
        sent = self._psi(torch.as_tensor(np.asarray(u, np.float32)))
        return ((sent - self._offset) / self._scale).numpy()

    @torch.no_grad()
    def phi_of_all(self, u: ArrayLike) -> NDArray[np.float32]:
        """phi of all neurons at the same activities, (level,) -> (level, neuron)."""
        scaled = torch.as_tensor(np.asarray(u, np.float32) / self._model.activity_scale)
        own = self._model.phi(scaled[:, None], self._model.embeddings)
        return (self._model.rate_scale * own + self._constant).numpy()

    def _psi(self, levels: Tensor) -> Tensor:
        model, scaled = self._model, (levels / self._model.activity_scale)[:, None]
        if isinstance(model.psi, EdgeNetwork):
            return model.psi(*model.psi.ends(scaled, model.embeddings))
        embeddings = model.embeddings if model.psi.embedded else model.embeddings[:1]
        return model.psi(scaled, embeddings).expand(-1, model.n_neurons)
