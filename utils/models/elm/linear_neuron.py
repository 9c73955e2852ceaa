"""A neuron without a nonlinearity in its dendrite: the floor that an ELM neuron has to beat.

Excitation and inhibition of each branch are filtered with a few time constants; the voltage is a
ridge regression on these, the spike probability a logistic one. Fitted in closed form in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from utils.models.elm.base import NEURONIO_SOMA_SCALE
from utils.models.elm.recurrence import Events, filter_inputs
from utils.models.elm.tasks import NeuronIOEvents
from utils.models.elm.timescales import decay

PENALTY = 1.0  # of standardised features, both regressions


class LinearNeuron(nn.Module):
    """Scored by :func:`utils.evaluation.evaluate_neuronio` like an ELM neuron.

    Parameters
    ----------
    num_input : the first half excites, the second inhibits.
    num_branch : neighbouring inputs that are summed.
    taus : ms, time constants of the filters.
    """

    def __init__(
        self,
        num_input: int = 1278,
        num_branch: int = 45,
        taus: tuple[float, ...] = (2.0, 5.0, 15.0, 50.0),
    ) -> None:
        super().__init__()
        self.num_input, n_channels = num_input, 2 * num_branch * len(taus)
        channel = torch.arange(num_input) * 2 * num_branch // num_input
        sums = nn.functional.one_hot(channel, 2 * num_branch).float()  # (input, branch and sign)
        self.register_buffer("sums", sums.repeat(1, len(taus)))
        kappa = decay(torch.tensor(taus), 1.0).repeat_interleave(2 * num_branch)
        self.register_buffer("kappa", kappa)
        self.readout = nn.Linear(n_channels, 2)

    def fit(self, batches: Iterable[NeuronIOEvents], keep: int = 5) -> LinearNeuron:
        """Fit to windows of spikes and scaled voltage.

        Of the ms without a spike every ``keep``-th is used, and counts ``keep`` times.

        Raises
        ------
        ValueError
            No spike in the windows.
        """
        parts = [self._sample(batch, keep) for batch in batches]
        features, spikes, soma = (np.concatenate(part) for part in zip(*parts))
        if not spikes.any():
            raise ValueError("no spike in the windows to fit: give more of them")
        weights = np.where(spikes, 1.0, keep)
        scaler = StandardScaler().fit(features)
        features = scaler.transform(features)
        models = LogisticRegression(C=1 / PENALTY), Ridge(PENALTY)
        for output, (model, target) in enumerate(zip(models, (spikes, soma))):
            model.fit(features, target, weights)
            slope = torch.from_numpy(np.ravel(model.coef_) / scaler.scale_)
            self.readout.weight.data[output] = slope
            level = np.ravel(model.intercept_)[0] - slope.numpy() @ scaler.mean_
            self.readout.bias.data[output] = float(level)
        return self

    @torch.no_grad()
    def forward(self, X: Tensor | Events) -> Tensor:
        """(batch, time, input) -> logit of a spike and scaled voltage, (batch, time, 2)."""
        return self.readout(self._filtered(X))

    def forward_events(self, idx: Tensor, ptr: Tensor, val: Tensor | None = None) -> Tensor:
        """The same for spikes alone, see :meth:`utils.models.elm.ELMv1.forward_events`."""
        return self(Events(idx, ptr, val))

    def neuronio_eval_forward(self, X: Tensor | Events) -> Tensor:
        """(batch, time, 2): spike probability, and somatic voltage in mV above -67.7 mV."""
        logit, soma = self(X).unbind(dim=2)
        return torch.stack([logit.sigmoid(), soma / NEURONIO_SOMA_SCALE], dim=2)

    def _filtered(self, X: Tensor | Events) -> Tensor:
        n = len(X.ptr if isinstance(X, Events) else X)
        return filter_inputs(X, self.sums, self.kappa, self.sums.new_zeros(n, len(self.kappa)))

    def _sample(self, batch: NeuronIOEvents, keep: int) -> tuple[NDArray, NDArray, NDArray]:
        """Features (ms, channel), spikes and voltage (ms,) of the ms that are used."""
        spikes = batch.spikes > 0
        used = spikes | (torch.arange(spikes.shape[1]) % keep == 0)
        features = self._filtered(Events(batch.idx, batch.ptr, batch.val))
        return tuple(part[used].numpy() for part in (features, spikes, batch.soma))
