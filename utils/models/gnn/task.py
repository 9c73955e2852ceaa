"""Train a message model on batches of windows, by any of the schemes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.models.gnn.clustering import cluster_embeddings
from utils.models.gnn.config import Derivative, GradientConfig, MessageTrainer, Recurrent
from utils.models.gnn.dynamics import euler_steps, integrate
from utils.models.gnn.frames import FrameBatch
from utils.models.gnn.losses import penalty, relative_error
from utils.models.gnn.messages import MessageModel
from utils.training import TrainingTask


class MessageTask(TrainingTask):
    """Logs ``loss``, the error of predicted derivatives in units of their variance.

    Predicted states of recurrent and ODE schemes are compared as the mean derivative since the
    start of the window, so that losses of all schemes are in the same unit. Validation is without
    noise and penalties.

    Parameters
    ----------
    network : is trained in place.
    config : scheme, penalties, clustering, and settings of the training.
    dt : time between frames.
    """

    network: MessageModel
    config: MessageTrainer

    def __init__(self, network: MessageModel, config: GradientConfig, dt: float) -> None:
        super().__init__(network, config.trainer)
        self.settings, self.dt = config, dt
        self.register_buffer("signs", torch.zeros(network.n_neurons))  # of senders; 0: not known

    def losses(self, batch: FrameBatch) -> tuple[dict[str, Tensor], int]:
        """Error of the scheme, and the number of windows."""
        scheme, size = self.settings.scheme, len(batch.activity)
        if isinstance(scheme, Derivative) or (
            self.training and self.current_epoch < scheme.start_epoch
        ):
            inputs = None if batch.inputs is None else batch.inputs[:, 0]
            rates = self.network(batch.activity[:, 0], inputs)
            return {"loss": relative_error(rates, batch.derivative, self.network.rate_scale)}, size
        return {"loss": self._window_error(batch)}, size

    def training_step(self, batch: FrameBatch, index: int) -> Tensor:
        """Loss of one batch, and the penalties."""
        scaled = batch.activity[0, 0] / self.network.activity_scale
        added = penalty(self.network, scaled, self.settings.penalties, self.current_epoch)
        return super().training_step(batch, index) + added

    def on_train_epoch_start(self) -> None:
        """Embeddings are clustered between epochs."""
        epoch, clustering = self.current_epoch, self.settings.clustering
        if clustering is not None and epoch and epoch % clustering.every == 0:
            cluster_embeddings(self.network, clustering)
            self.optimizers(use_pl_optimizer=False).state.pop(self.network.embeddings, None)

    def on_train_batch_end(self, *_: Any) -> None:
        """Signs hold after each step, from their epoch on."""
        dale = self.settings.dale
        if dale is not None and self.current_epoch >= dale.from_epoch:
            self.hold_signs()

    def hold_signs(self) -> None:
        """Remove weights against their sender's sign; where it is not known, their sum says it."""
        by_sum = self.network.connectivity.detach().sum(dim=0).sign()
        self.signs = torch.where(self.signs == 0, by_sum, self.signs)
        self.network.weights.project(self.signs)

    def trained_parameters(self) -> list[dict[str, Any]]:
        """Only psi and phi decay; W and the embeddings have learning rates of their own."""
        config, network = self.config, self.network
        networks = [*network.phi.parameters(), *network.psi.parameters()]
        weights = list(network.weights.parameters())
        groups = [
            {"params": networks},
            {"params": weights, "lr": config.connectivity_learning_rate, "weight_decay": 0.0},
        ]
        if network.embeddings.requires_grad:
            rate = config.embedding_learning_rate
            groups.append({"params": [network.embeddings], "lr": rate, "weight_decay": 0.0})
        return groups

    def _window_error(self, batch: FrameBatch) -> Tensor:
        predicted = self._run(batch)  # (batch, steps, neuron)
        start, true = batch.activity[:, :1], batch.activity[:, 1:]
        elapsed = self.dt * torch.arange(1, predicted.shape[1] + 1, device=predicted.device)
        rates, true_rates = ((states - start) / elapsed[:, None] for states in (predicted, true))
        scale, weight = self.network.rate_scale, self.settings.scheme.intermediate
        error = relative_error(rates[:, -1], true_rates[:, -1], scale)
        if weight and rates.shape[1] > 1:
            error = error + weight * relative_error(rates[:, :-1], true_rates[:, :-1], scale)
        return error

    def _run(self, batch: FrameBatch) -> Tensor:
        """States after the start of each window."""
        scheme, start = self.settings.scheme, batch.activity[:, 0]
        window = {"steps": scheme.steps, "dt": self.dt}
        if isinstance(scheme, Recurrent):
            noise = scheme.noise if self.training else 0.0
            return euler_steps(self.network, start, batch.inputs, noise=noise, **window)
        return integrate(self.network, start, batch.inputs, scheme=scheme, **window)
