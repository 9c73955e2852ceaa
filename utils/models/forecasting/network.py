"""Forecasters that are trained by gradient: a torch network inside the common interface.

A model is a :class:`ForecastModule` with one method, ``core``: standardised past to outputs. What
all models share lives here: scaling, covariates, the simple forecast that is corrected, the head
with its distribution and loss, training, saving and prediction in pieces.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Self

import lightning
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from utils.models.forecasting.base import (
    Array,
    DataMismatchError,
    Forecaster,
    ForecasterConfig,
    observed_mean,
    where_observed,
)
from utils.models.forecasting.heads import Forecast, HeadKind, PointLoss, make_head
from utils.models.forecasting.losses import event_weights, weighted_mean
from utils.models.forecasting.parts import (
    SMALLEST_DEVIATION,
    Skip,
    SkipKind,
    Standardiser,
)
from utils.models.forecasting.simple import train_moments
from utils.training import ForecastTask, TrainerConfig, TrainingResult, fit_task
from utils.training.config import choose_device
from utils.training.fit import quiet_lightning
from utils.windows.module import WindowLoader

if TYPE_CHECKING:
    from utils.windows import WindowData

WINDOWS_AT_ONCE = 256


class NetworkTrainer(TrainerConfig):
    """What suits most forecasters on recordings of an hour: short, and strongly regularised."""

    max_epochs: int = Field(8, ge=1)
    stride: int = Field(4, ge=1)
    learning_rate: float = Field(3e-4, gt=0)
    weight_decay: float = Field(0.1, ge=0)
    patience: int = Field(3, ge=1)


class NetworkConfig(ForecasterConfig):
    """Settings that all trained forecasters share."""

    trainer: NetworkTrainer = NetworkTrainer()
    normalise: Literal["train", "window", "none"] = Field(
        "train",
        description="inputs in units of the neuron's training block, of the window itself "
        "(reversible instance normalisation, with skip=mean), or as they are",
    )
    skip: SkipKind = Field("linear", description="the simple forecast that the network corrects")
    covariates: bool = Field(
        False, description="past behaviour and stimulus as further inputs, where the data hold them"
    )
    head: HeadKind = "point"
    loss: PointLoss = Field("squared", description="of the point head")
    event_weight: float = Field(1.0, ge=1, description="weight of entries that are events")
    event_deviations: float = Field(
        2.0, description="an event exceeds its neuron's mean by so many sd"
    )
    scale_penalty: float = Field(
        1.0, ge=0, description="holds the scale of a gaussian or student_t head in bounds"
    )

    @property
    def fits_any_neuron(self) -> bool:
        """Whether scaling and skip hold nothing of a certain neuron."""
        return self.normalise != "train" and self.skip in ("none", "last", "mean")


class AttentionConfig(NetworkConfig):
    """Settings that networks with several heads of attention share."""

    d_model: int = Field(64, ge=1)
    n_heads: int = Field(4, ge=1)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} must be a multiple of n_heads {self.n_heads}")
        return self


class Sizes(NamedTuple):
    """What a network is built for."""

    context: int
    horizon: int
    n_neurons: int
    n_covariates: int


class ForecastModule(nn.Module, ABC):
    """(batch, context, neuron) -> :class:`~utils.models.forecasting.heads.Forecast`."""

    def __init__(self, config: NetworkConfig, sizes: Sizes) -> None:
        super().__init__()
        self.config, self.sizes = config, sizes
        per_neuron = config.normalise == "train"
        self.neurons = Standardiser(sizes.n_neurons if per_neuron else 1)
        self.behaviour = Standardiser(sizes.n_covariates) if sizes.n_covariates else None
        self.skip = Skip(config.skip, sizes.context, sizes.horizon)
        self.head = make_head(config.head, config.loss)
        nothing = torch.full((sizes.n_neurons,), torch.inf)  # until prepared
        self.register_buffer("event_threshold", nothing, persistent=False)  # for training alone

    @abstractmethod
    def core(self, inputs: Tensor, covariates: Tensor | None) -> Tensor:
        """What the model is.

        (batch, context, neuron) standardised, 0 where missing; (batch, context, covariate)
        likewise, or None -> (batch, horizon, neuron, ``self.head.n_outputs``), in the units of
        the inputs.
        """

    def prepare(self, data: WindowData) -> None:
        """Take statistics, and the forecast to correct, from the training block."""
        mean, deviation = train_moments(data)
        own = Standardiser(data.n_neurons)
        own.prepare(mean, deviation)
        self.event_threshold.copy_(own.mean + self.config.event_deviations * own.deviation)
        if self.config.normalise != "train":  # one level and scale, which fit any neuron
            mean, deviation = mean.mean()[None], deviation.square().mean().sqrt()[None]
        self.neurons.prepare(mean, deviation)
        self.skip.prepare(data)
        if self.behaviour is not None:
            self.behaviour.prepare(*train_moments(data, data.covariates))

    def forward(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Forecast:
        """Forecast the horizon of each window in one pass that never sees the future."""
        level, scale = self._units(past, mask)
        inputs = (past - level) / scale
        if mask is not None:
            inputs = inputs * mask
        outputs = self.core(inputs, self._standardised(covariates)).float()
        return Forecast(self._base(past, mask, covariates), scale, outputs)

    def point(self, output: Forecast) -> Tensor:
        """The expected value, (batch, horizon, neuron)."""
        return self.head.point(output)

    def loss(self, output: Forecast, future: Tensor, mask: Tensor | None) -> Tensor:
        """Mean over the observed entries; events may weigh more than the rest."""
        weights = event_weights(future, self.event_threshold, self.config.event_weight)
        losses = self.head.losses(output, future, self.neurons.typical)
        penalty = self.config.scale_penalty * self.head.penalty(output)
        return weighted_mean(losses, weights, mask) + penalty

    def _base(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        """The simple forecast to correct, (batch, horizon, neuron)."""
        base = self.skip(past, mask, covariates)
        if self.config.skip == "none":
            return base + self.neurons.mean
        if self.config.skip in ("last", "mean"):
            return where_observed(base, mask, self.neurons.mean)
        return base

    def _units(self, past: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Level and scale of the inputs; both broadcast over (batch, time, neuron)."""
        if self.config.normalise == "train":
            return self.neurons.mean, self.neurons.deviation
        if self.config.normalise == "none":
            return self.neurons.mean, self.neurons.typical
        level = observed_mean(past, mask)
        distance = past - level if mask is None else (past - level) * mask
        spread = observed_mean(distance.square(), mask)
        floor = SMALLEST_DEVIATION * self.neurons.typical
        return level, (spread + floor**2).sqrt()

    def _standardised(self, covariates: Tensor | None) -> Tensor | None:
        if self.behaviour is None:
            return None
        wanted = self.sizes.n_covariates
        if covariates is None:
            raise DataMismatchError(
                "this model was fitted with covariates: give them to predict(past, covariates), or "
                "fit it with covariates=False"
            )
        if covariates.shape[2] != wanted:
            raise DataMismatchError(
                f"this model was fitted with {wanted} covariate{'s' * (wanted != 1)}, found "
                f"{covariates.shape[2]}"
            )
        return self.behaviour(covariates).nan_to_num(0.0)


class NetworkForecaster(Forecaster):
    """A forecaster whose ``Module`` is trained on windows."""

    Config = NetworkConfig
    Module: ClassVar[type[ForecastModule]]
    channel_independent: ClassVar[bool] = False  # each neuron is forecast from itself, one way
    network: ForecastModule
    training: TrainingResult | None = None

    @property
    def transfers(self) -> bool:
        """Whether nothing in the fitted network belongs to a certain neuron."""
        return self.channel_independent and self.config.fits_any_neuron

    def fit(self, data: WindowData, *, folder: Path | None = None, resume: bool = False) -> Self:
        """Train on the training windows and keep the weights of the best validation epoch.

        Parameters
        ----------
        folder : keeps logs and checkpoints (best and last) where given.
        resume : continue the training that was interrupted in ``folder``.
        """
        self._logs = (folder, resume)
        return super().fit(data)

    def predict_quantiles(
        self,
        past: Array,
        levels: Sequence[float],
        covariates: Array | None = None,
        mask: Array | None = None,
    ) -> Array:
        """Quantiles of the predictive distribution; arguments as of :meth:`predict`.

        Returns (batch, horizon, neuron, level), the kind of ``past``.

        Raises
        ------
        ValueError
            The model has a point head, or a level is not between 0 and 1.
        """
        if not self.is_probabilistic:
            raise ValueError(
                f"this {self.name} has a point head, which has no quantiles; fit one with "
                "head='gaussian', 'student_t' or 'quantile'"
            )
        if not all(0 < level < 1 for level in levels):
            raise ValueError(f"levels must lie between 0 and 1, found {list(levels)}")
        inputs, is_numpy = self._inputs(past, covariates, mask)
        with torch.no_grad():
            parts = [self.network.head.quantiles(f, levels) for f in self._forecasts(*inputs)]
        found = torch.cat(parts) if parts else inputs[0].new_zeros(0)
        found = found.reshape(len(inputs[0]), -1, inputs[0].shape[2], len(levels))
        return found.cpu().numpy() if is_numpy else found.to(inputs[0].device)

    @property
    def is_probabilistic(self) -> bool:
        """Whether the head gives a distribution."""
        return self.config.head != "point"

    def _fit(self, data: WindowData) -> None:
        self._start(data)
        self._train(data, *self._logs)

    def _start(self, data: WindowData) -> None:
        """A network with random weights of the seed, and statistics of the training block."""
        with quiet_lightning():
            lightning.seed_everything(self.config.trainer.seed, workers=True, verbose=False)
        self.network = self._build()
        self.network.prepare(data)

    def _train(self, data: WindowData, folder: Path | None = None, resume: bool = False) -> None:
        trainer: TrainerConfig = self.config.trainer
        task = ForecastTask(self.network, trainer)
        loaders = self._loaders(data)
        self.training = fit_task(task, *loaders, trainer, folder=folder, resume=resume)
        self._ready()

    def _loaders(self, data: WindowData) -> tuple[WindowLoader, WindowLoader]:
        """Training windows, shuffled, and validation windows."""
        trainer: TrainerConfig = self.config.trainer
        train = WindowLoader(
            data.train,
            trainer.batch_size,
            shuffle=True,
            seed=trainer.seed,
            stride=trainer.stride,
        )
        validation = WindowLoader(
            data.validation, trainer.batch_size, stride=trainer.validation_stride
        )
        return train, validation

    def _build(self) -> ForecastModule:
        """An untrained network for the sizes in ``self.fitted_on``."""
        seen = self._fitted()
        n_covariates = len(seen.covariate_names) if self.config.covariates else 0
        return self.Module(
            self.config, Sizes(seen.context, seen.horizon, seen.n_neurons, n_covariates)
        )

    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        forecasts = self._forecasts(past, mask, covariates)
        futures = [self.network.point(forecast).float() for forecast in forecasts]
        if not futures:
            return past.new_zeros(0, self._fitted().horizon, past.shape[2])
        return torch.cat(futures)

    def _forecasts(
        self, past: Tensor, mask: Tensor | None, covariates: Tensor | None
    ) -> Iterator[Forecast]:
        device = next(self.network.parameters()).device
        parts = (part if part is None else part.to(device) for part in (past, mask, covariates))
        for piece in zip(*(_pieces(part, len(past)) for part in parts)):
            yield self.network(*piece)

    def _arrays(self) -> dict[str, Tensor]:
        return {name: value.cpu() for name, value in self.network.state_dict().items()}

    def _restore(self, arrays: dict[str, Tensor]) -> None:
        self.network = self._build()
        self.network.load_state_dict(arrays)
        self._ready()

    def _ready(self) -> None:
        """On the device, without dropout: from here on a forecast is deterministic."""
        self.network.to(choose_device(self.config.trainer.device)).eval().requires_grad_(False)


def _pieces(part: Tensor | None, n: int) -> Sequence[Tensor | None]:
    """``n`` windows, or the absence of something beside them, in pieces of bounded size."""
    if part is None:
        return [None] * -(-n // WINDOWS_AT_ONCE)
    return part.split(WINDOWS_AT_ONCE) if n else []
