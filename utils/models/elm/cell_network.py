"""The ELM neurons of several cells as one network to train; they share inputs, not weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import lightning
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from utils.models.elm.neuron import ELMv2
from utils.models.elm.tasks import start_at_rate
from utils.models.forecasting.parts import Standardiser
from utils.models.forecasting.simple import train_moments, train_pieces
from utils.training import TrainerConfig, TrainingTask, past_covariates

if TYPE_CHECKING:
    from utils.windows import WindowBatch, WindowData


class CellSizes(NamedTuple):
    """What the neurons were built for."""

    n_neurons: int  # of the recording
    n_covariates: int  # that are heard
    context: int  # frames, the longest time constant

    @property
    def n_sources(self) -> int:
        """Of the inputs; each source is two."""
        return self.n_neurons + self.n_covariates


class CellNetwork(nn.Module):
    """From the activity of all cells, and behaviour, to what chosen cells do next.

    Activity and targets are in deviations from the mean of the training block.
    """

    def __init__(self, neurons: Sequence[ELMv2], cells: Sequence[int], sizes: CellSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.neurons = nn.ModuleList(neurons)
        self.activity = Standardiser(sizes.n_neurons)
        self.behaviour = Standardiser(sizes.n_covariates) if sizes.n_covariates else None
        self.register_buffer("cells", torch.tensor(cells))
        self.register_buffer("threshold", torch.zeros(len(cells)))  # of an event

    def prepare(self, data: WindowData, event_deviations: float) -> None:
        """Take statistics of the training block, and start at the rates of events in it."""
        mean, deviation = train_moments(data)
        self.activity.prepare(mean, deviation)
        threshold = event_deviations * deviation[self.cells] / self.activity.deviation[self.cells]
        self.threshold.copy_(threshold)
        if self.behaviour is not None:
            self.behaviour.prepare(*train_moments(data, data.covariates))
        events = torch.cat([self.events(piece) for piece in train_pieces(data, data.activity)])
        for neuron, rate in zip(self.neurons, events.nanmean(dim=0).nan_to_num(0.0).tolist()):
            start_at_rate(neuron, rate)

    def inputs(self, activity: Tensor, covariates: Tensor | None) -> Tensor:
        """(batch, time, neuron) and (batch, time, covariate), NaN where missing, to what is heard.

        (batch, time, 2 source): of each cell and behavioural variable what is above its mean, then
        what is below; what is missing is at the mean.
        """
        sources = self.activity(activity)
        if self.behaviour is not None:
            sources = torch.cat([sources, self.behaviour(covariates)], dim=2)
        sources = sources.nan_to_num(0.0) / self.sizes.n_sources**0.5
        return torch.cat([sources.clamp(min=0), sources.clamp(max=0)], dim=2)

    def inputs_of(self, data: WindowData, start: int, stop: int) -> Tensor:
        """The inputs of a stretch of a recording, (1, time, 2 source)."""
        covariates = None if data.covariates is None else data.covariates[None, start:stop]
        parts = data.activity[None, start:stop], covariates
        return self.inputs(
            *(part if part is None else part.to(self.cells.device) for part in parts)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, time, 2 source) -> (batch, time, cell, 2): of the next frame, logit and activity.

        One neuron after the other: as fast as all in one product, because they are small.
        """
        return torch.stack([neuron(inputs) for neuron in self.neurons], dim=2)

    def targets(self, activity: Tensor) -> Tensor:
        """(..., neuron) -> (..., cell) in deviations from the mean."""
        return self.activity(activity)[..., self.cells]

    def events(self, activity: Tensor) -> Tensor:
        """(..., neuron) -> (..., cell): 1 in an event, else 0; NaN where missing."""
        targets = self.targets(activity)
        return torch.where(targets.isnan(), torch.nan, (targets > self.threshold).float())

    def on_scale(self, targets: Tensor) -> Tensor:
        """(..., cell) in deviations -> on the scale of the data."""
        return targets * self.activity.deviation[self.cells] + self.activity.mean[self.cells]


class CellTask(TrainingTask):
    """Half the cross-entropy of events and half the squared error of each cell.

    The loss is the sum over cells, so that what one learns does not depend on the others;
    ``mean_loss`` is logged beside it.
    """

    network: CellNetwork

    def __init__(self, network: CellNetwork, config: TrainerConfig, burn_in: int) -> None:
        super().__init__(network, config)
        self.burn_in = burn_in

    def losses(self, batch: WindowBatch) -> tuple[dict[str, Tensor], int]:
        """Losses of a batch and its number of windows."""
        by_cell = self.losses_of_cells(batch)
        self.seen = by_cell.detach()  # for those who watch
        return {"loss": by_cell.sum(), "mean_loss": by_cell.mean()}, len(batch)

    def losses_of_cells(self, batch: WindowBatch) -> Tensor:
        """(cell,) mean over the frames that were measured."""
        past = _with_nan(batch.past, batch.past_mask)
        future = _with_nan(batch.future[:, :1], batch.future_mask)
        said = self.network(self.network.inputs(past, past_covariates(batch)))
        logit, activity = said[:, self.burn_in :].unbind(dim=3)
        following = torch.cat([past[:, 1:], future], dim=1)[:, self.burn_in :]
        targets, events = self.network.targets(following), self.network.events(following)
        seen = ~targets.isnan()
        squares = (activity - targets.nan_to_num(0.0)).square()
        entropy = binary_cross_entropy_with_logits(logit, events.nan_to_num(0.0), reduction="none")
        total = ((squares + entropy) / 2 * seen).sum(dim=(0, 1))
        return total / seen.sum(dim=(0, 1)).clamp(min=1)


class BestOfEachCell(lightning.Callback):
    """Remembers the weights of each cell's best epoch on the validation windows."""

    def __init__(self, n_cells: int) -> None:
        self.best = torch.full((n_cells,), torch.inf)
        self.weights: list[dict[str, Tensor]] = [{} for _ in range(n_cells)]

    def on_validation_epoch_start(self, trainer: lightning.Trainer, task: CellTask) -> None:
        """Begins to add up."""
        self._total, self._n = torch.zeros_like(self.best), 0

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, task: CellTask, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Adds the losses of a batch."""
        self._total += len(batch) * task.seen.cpu()
        self._n += len(batch)

    def on_validation_epoch_end(self, trainer: lightning.Trainer, task: CellTask) -> None:
        """Keeps the weights of cells that are better than before."""
        losses = self._total / max(self._n, 1)
        for place in torch.nonzero(losses < self.best)[:, 0].tolist():
            weights = task.network.neurons[place].state_dict()
            self.weights[place] = {name: value.clone() for name, value in weights.items()}
        self.best = torch.minimum(self.best, losses)

    def restore(self, network: CellNetwork) -> None:
        """Give each cell the weights of its best epoch."""
        for neuron, weights in zip(network.neurons, self.weights):
            neuron.load_state_dict(weights)


def _with_nan(values: Tensor, mask: Tensor | None) -> Tensor:
    return values if mask is None else torch.where(mask[:, : values.shape[1]], values, torch.nan)
