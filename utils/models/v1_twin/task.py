"""Train a twin on several recordings at once, and score its rates in every validation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from utils.models.v1_twin.losses import (
    LossName,
    Sums,
    bits_per_spike,
    deviance_explained,
    loss_sums,
    twin_loss,
)
from utils.models.v1_twin.regularise import Regulariser, Regularisers
from utils.models.v1_twin.store import describe
from utils.models.v1_twin.twin import V1Twin
from utils.training import TrainerConfig, TrainingTask
from utils.training.task import MONITOR


class TwinTrainer(TrainerConfig):
    """How a twin is trained: what all models share, a rate for the core, and more schedules."""

    learning_rate: float = Field(1e-3, gt=0, description="of adapters, readouts and history")
    core_learning_rate: float | None = Field(None, gt=0, description="None: learning_rate")
    schedule: Literal["constant", "cosine", "step", "plateau"] = "cosine"
    warm_up_epochs: float = Field(0, ge=0, description="of linear growth, before the schedule")
    drop_epochs: int = Field(
        10, ge=1, description="step: between drops; plateau: without a better validation before one"
    )
    drop_factor: float = Field(0.3, gt=0, lt=1, description="of the learning rates in a drop")

    @model_validator(mode="after")
    def _plateaus_have_no_warm_up(self) -> Self:
        if self.schedule == "plateau" and self.warm_up_epochs:
            raise ValueError("warm_up_epochs must be 0 with schedule 'plateau'")
        return self


class Sequences(NamedTuple):
    """What a batch holds of one data set, see :class:`utils.datasets.v1.V1Sequences`."""

    stimulus: Tensor | None  # (batch, frame, [channel,] row, column)
    behavior: Tensor | None  # (batch, frame, column)
    responses: Tensor  # (batch, frame, cell), 0 where masked
    mask: Tensor  # (batch, bin, cell): the last bins, which count


class TwinTask(TrainingTask):
    """Minimises the mean loss of the data sets in a batch; what is held is added in training only.

    ``validation_loss`` and ``validation_bits_per_spike`` (``validation_deviance_explained`` for
    other losses than Poisson's) are those of all validation bins, whatever the batches: means over
    data sets and over cells.

    Parameters
    ----------
    network : a core without trainable parameters stays as it is, batch statistics included.
    mean_rates : (cell,) by data set: mean responses of the training bins, which scores compare to.
    """

    network: V1Twin
    config: TwinTrainer

    def __init__(
        self,
        network: V1Twin,
        config: TwinTrainer,
        mean_rates: Mapping[str, Tensor],
        *,
        loss: LossName = "poisson",
        regularisers: Iterable[Regulariser] = (),
    ) -> None:
        super().__init__(network, config)
        self.loss = loss
        self.mean_rates = {name: rates.float() for name, rates in mean_rates.items()}
        self.regularisers = Regularisers(regularisers, network)
        self._sums: dict[str, Tensor] = {}

    @property
    def score_name(self) -> str:
        """What better models have more of."""
        return f"validation_{self._score.__name__}"

    def losses(self, batch: Mapping[str, Sequences]) -> tuple[dict[str, Tensor], int]:
        """Mean over the data sets of the batch, and the number of its sequences."""
        losses = [
            twin_loss(self.loss, *self._rates_and_responses(name, part), part.mask)
            for name, part in batch.items()
        ]
        return {"loss": torch.stack(losses).mean()}, sum(len(p.mask) for p in batch.values())

    def training_step(self, batch: Mapping[str, Sequences], index: int) -> Tensor:
        """Loss of one batch, and what the regularisers add."""
        penalty = self.regularisers.penalty(self.current_epoch)
        return super().training_step(batch, index) + penalty

    def on_train_batch_end(self, *_: Any) -> None:
        """Bounds and proximal steps follow each step of the optimiser."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        self.regularisers.correct(self.current_epoch, optimizer)

    def on_validation_epoch_start(self) -> None:
        """Every data set has its sums, also on a device that gets nothing of it."""
        self._sums = {
            name: torch.zeros(len(Sums._fields), len(rates), device=self.device)
            for name, rates in self.mean_rates.items()
        }

    def validation_step(self, batch: Mapping[str, Sequences], index: int) -> None:
        """Adds to the sums of the validation."""
        for name, part in batch.items():
            rates, responses = self._rates_and_responses(name, part)
            mean = self.mean_rates[name].to(rates.device)
            self._sums[name] += torch.stack(loss_sums(self.loss, rates, responses, part.mask, mean))

    def on_validation_epoch_end(self) -> None:
        """Logs loss and score of all batches on all devices."""
        reduce = partial(self.trainer.strategy.reduce, reduce_op="sum")
        sums = [Sums(*reduce(values)) for values in self._sums.values()]
        losses = torch.stack([of_set.loss.sum() / of_set.bins.sum() for of_set in sums])
        scores = torch.cat([self._score(of_set) for of_set in sums])
        self.log(MONITOR, losses.nanmean(), prog_bar=True, sync_dist=True)
        self.log(self.score_name, scores.nanmean(), prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW that decays weights only, and the schedule."""
        optimizer = torch.optim.AdamW(parameter_groups(self.network, self.config))
        if self.config.schedule == "plateau":
            scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=self.config.drop_factor, patience=self.config.drop_epochs
            )
            every = {"interval": "epoch", "frequency": self.config.max_epochs + 1}  # by hand, below
        else:
            steps = max(int(self.trainer.estimated_stepping_batches), 1)
            share = partial(learning_rate_share, self.config, steps)
            scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
            every = {"interval": "step"}
        settings = {"scheduler": scheduler, "monitor": MONITOR, **every}
        return {"optimizer": optimizer, "lr_scheduler": settings}

    def on_train_epoch_end(self) -> None:
        """A plateau is noticed before the checkpoint is written, so that resuming is exact."""
        if self.config.schedule == "plateau":
            self.lr_schedulers().step(self.trainer.callback_metrics[MONITOR])

    def on_train_start(self) -> None:
        """Whatever the mode that the network came in."""
        self.train()

    def train(self, mode: bool = True) -> Self:
        """A frozen core is used as in evaluation."""
        super().train(mode)
        if not any(values.requires_grad for values in self.network.core.parameters()):
            self.network.core.eval()
        return self

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A checkpoint says which model it is of."""
        checkpoint["twin"] = describe(self.network)

    @property
    def _score(self) -> Any:
        return bits_per_spike if self.loss == "poisson" else deviance_explained

    def _rates_and_responses(self, name: str, part: Sequences) -> tuple[Tensor, Tensor]:
        n_bins = part.mask.shape[1]
        rates = self.network(name, part.stimulus, part.behavior, part.responses, n_bins)
        return rates, part.responses[:, -n_bins:]


def parameter_groups(network: V1Twin, config: TwinTrainer) -> list[dict[str, Any]]:
    """Trainable parameters, by learning rate and by whether they decay: those with two axes do."""
    own_rate = config.learning_rate
    rates = {True: config.core_learning_rate or own_rate, False: own_rate}
    decays = {True: config.weight_decay, False: 0.0}
    in_core = {id(values) for values in network.core_parameters()}
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for values in network.parameters():
        if values.requires_grad:
            groups.setdefault((id(values) in in_core, values.ndim > 1), []).append(values)
    return [
        {"params": params, "lr": rates[core], "weight_decay": decays[weights]}
        for (core, weights), params in groups.items()
    ]


def learning_rate_share(config: TwinTrainer, n_steps: int, step: int) -> float:
    """Share of the full learning rate in a step of ``n_steps``."""
    steps_per_epoch = n_steps / config.max_epochs
    warm_up = config.warm_up_epochs * steps_per_epoch
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    if config.schedule == "cosine":
        done = (step - warm_up) / max(n_steps - warm_up, 1)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    if config.schedule == "step":
        return config.drop_factor ** int((step - warm_up) / (config.drop_epochs * steps_per_epoch))
    return 1.0
