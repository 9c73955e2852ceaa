"""What every forecaster is: fitted on windows, asked for the future of a past, kept in a folder.

A new model subclasses :class:`Forecaster`, states its settings as a pydantic ``Config`` and
implements ``_fit`` (learn from a WindowData) and ``_forecast`` (past to future); ``learnt`` names
the attributes with the tensors that a saved model keeps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel
from torch import Tensor

from utils.config import Config, validate_config
from utils.windows import WindowData

Array = np.ndarray | Tensor


class ForecasterConfig(Config):
    """Settings of a forecaster; each model extends it."""


class NotFittedError(RuntimeError):
    """A forecaster was asked to predict before it was fitted or loaded."""


class DataMismatchError(ValueError):
    """The windows differ from those that the forecaster was fitted on."""


class FittedOn(BaseModel):
    """What a forecaster remembers of its training data."""

    context: int
    horizon: int
    n_neurons: int
    frame_rate: float
    source: str
    unit: str
    content_hash: str
    covariate_names: list[str] = []


class Forecaster(ABC):
    """Forecasts ``horizon`` frames of every neuron from the ``context`` frames before them."""

    name: ClassVar[str]
    Config: ClassVar[type[ForecasterConfig]] = ForecasterConfig
    learnt: ClassVar[tuple[str, ...]] = ()
    uses_population: ClassVar[bool] = False  # whether neurons tell about each other's future

    def __init__(self, **settings: Any) -> None:
        self.config = validate_config(self.Config, settings, where=f"forecaster '{self.name}'")
        self.fitted_on: FittedOn | None = None
        self.neurons: pd.DataFrame | None = None
        self.scaler: dict[str, Any] | None = None
        self.others: list[Forecaster] = []  # of other sessions, trained with this one

    @property
    def transfers(self) -> bool:
        """Whether a fitted model can forecast neurons that it has not seen."""
        return False

    def fit(self, data: WindowData) -> Self:
        """Learn from the training windows; validation windows choose settings and stopping."""
        self._check_training(data)
        self._remember(data)
        self._fit(data)
        return self

    def predict(
        self, past: Array, covariates: Array | None = None, mask: Array | None = None
    ) -> Array:
        """Forecast windows.

        Parameters
        ----------
        past : (batch, context, neuron) on the scale of the data fitted on; missing entries are
            NaN, or anything where ``mask`` is False.
        covariates : (batch, context, covariate) of the same frames, NaN where missing; used by
            models that ask for them.
        mask : (batch, context, neuron) bool, True where the past was observed.

        Returns
        -------
        (batch, horizon, neuron) float32 of the same kind as ``past`` (numpy or torch).
        """
        inputs, is_numpy = self._inputs(past, covariates, mask)
        with torch.no_grad():
            future = self._forecast(*inputs)
        return future.cpu().numpy() if is_numpy else future.to(inputs[0].device)

    def save(self, folder: str | Path) -> Path:
        """Keep the fitted model in a folder; :func:`load_model` brings it back."""
        from utils.models.forecasting.store import save_model

        return save_model(self, folder)

    def check_data(self, data: WindowData) -> None:
        """Raise :class:`DataMismatchError` unless the model can forecast these windows."""
        fitted = self._fitted()
        self._check_kind(data)
        if (data.context, data.horizon) != (fitted.context, fitted.horizon):
            raise DataMismatchError(
                f"forecaster '{self.name}' was fitted on windows of {fitted.context} -> "
                f"{fitted.horizon} frames, these are {data.context} -> {data.horizon}; "
                "load the data with the model's context and horizon"
            )
        self._check_covariates(data)
        if not self.transfers and not self._same_neurons(data):
            raise DataMismatchError(
                f"forecaster '{self.name}' has weights for its own {fitted.n_neurons} neurons and "
                f"cannot forecast the {data.n_neurons} neurons of another session; fit it there, "
                "or use a model that transfers (persistence, mean, linear with shared=True)"
            )

    def __repr__(self) -> str:
        if self.fitted_on is None:
            return f"{type(self).__name__}(not fitted)"
        seen = self.fitted_on
        return (
            f"{type(self).__name__}({seen.context} -> {seen.horizon} frames, "
            f"{seen.n_neurons} neurons, fitted on {seen.source} data)"
        )

    # ------------------------------------------------------------------ for the models themselves

    @abstractmethod
    def _fit(self, data: WindowData) -> None:
        """Learn; statistics from ``data.train`` only."""

    @abstractmethod
    def _forecast(self, past: Tensor, mask: Tensor | None, covariates: Tensor | None) -> Tensor:
        """(batch, context, neuron), 0 where missing, -> (batch, horizon, neuron).

        Missing covariates are NaN.
        """

    def _inputs(
        self, past: Array, covariates: Array | None, mask: Array | None
    ) -> tuple[tuple[Tensor, Tensor | None, Tensor | None], bool]:
        """What :meth:`_forecast` takes, checked, and whether ``past`` is a numpy array."""
        is_numpy = not isinstance(past, Tensor)
        values = torch.as_tensor(past, dtype=torch.float32)
        self._check_shape(values)
        if mask is not None:
            mask = torch.as_tensor(mask, dtype=torch.bool, device=values.device)
            self._check_beside("mask", mask, values, values.shape[2])
        # One pass: the sum is finite unless an entry is not (or, rarely, by overflow).
        complete = mask is None and bool(torch.isfinite(values.sum()))
        if not complete:
            observed = torch.isfinite(values) if mask is None else torch.isfinite(values) & mask
            complete = bool(observed.all())
        values = values if complete else torch.where(observed, values, 0.0)
        if covariates is not None:
            covariates = torch.as_tensor(covariates, dtype=torch.float32)
            self._check_beside("covariates", covariates, values, covariates.shape[-1])
        return (values, None if complete else observed, covariates), is_numpy

    def _arrays(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in self.learnt}

    def _restore(self, arrays: dict[str, Tensor]) -> None:
        for name in self.learnt:
            setattr(self, name, arrays[name])

    def _join(self, others: list[Forecaster]) -> None:
        """Take in the forecasters of other sessions that were saved beside this one."""
        self.others = others

    def _remember(self, data: WindowData) -> None:
        self.fitted_on = FittedOn(
            context=data.context,
            horizon=data.horizon,
            n_neurons=data.n_neurons,
            frame_rate=float(data.frame_rate),
            source=data.source,
            unit=data.unit,
            content_hash=data.content_hash,
            covariate_names=list(data.covariate_names or []),
        )
        self.neurons = data.neurons
        self.scaler = data.scaler

    def _fitted(self) -> FittedOn:
        if self.fitted_on is None:
            raise NotFittedError(f"forecaster '{self.name}' is not fitted; call fit(data) first")
        return self.fitted_on

    def _check_kind(self, data: object) -> None:
        if not isinstance(data, WindowData):
            raise TypeError(
                f"forecaster '{self.name}' expects WindowData, found {type(data).__name__}; make "
                "it with window_data(activity, timestamps) or load_windows(session_file)"
            )

    def _check_training(self, data: object) -> None:
        self._check_kind(data)
        if len(data.train) == 0:
            raise DataMismatchError(
                f"forecaster '{self.name}': the data hold no training window of {data.context} + "
                f"{data.horizon} frames; use a shorter context and horizon or a longer recording"
            )

    def _check_shape(self, past: Tensor) -> None:
        fitted = self._fitted()
        neurons = "any" if self.transfers else fitted.n_neurons
        if (
            past.ndim != 3
            or past.shape[1] != fitted.context
            or neurons not in ("any", past.shape[2])
        ):
            raise DataMismatchError(
                f"forecaster '{self.name}' expects a past of shape (batch, {fitted.context}, "
                f"{neurons}) = (batch, context, neuron), found {tuple(past.shape)}"
            )

    def _check_beside(self, name: str, array: Tensor, past: Tensor, n_columns: int) -> None:
        expected = (*past.shape[:2], n_columns)
        if tuple(array.shape) != expected:
            raise DataMismatchError(
                f"forecaster '{self.name}' expects {name} of shape {expected} beside a past of "
                f"shape {tuple(past.shape)}, found {tuple(array.shape)}"
            )

    def _check_covariates(self, data: WindowData) -> None:
        """Where the model takes covariates, they must be those that it was fitted on."""
        expected, found = self._fitted().covariate_names, list(data.covariate_names or [])
        if getattr(self.config, "covariates", False) and expected and expected != found:
            raise DataMismatchError(
                f"forecaster '{self.name}' was fitted with the covariates {', '.join(expected)}, "
                f"these windows have {', '.join(found) or 'none'}; give the same covariates in the "
                "same order, or fit it with covariates=False"
            )

    def _same_neurons(self, data: WindowData) -> bool:
        if data.n_neurons != self._fitted().n_neurons:
            return False
        tables = (self.neurons, data.neurons)
        if any(table is None or "uuid" not in table for table in tables):
            return True
        return list(self.neurons["uuid"]) == list(data.neurons["uuid"])


def observed_mean(past: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over the observed frames, ``(batch, 1, neuron)``; 0 where nothing was observed."""
    if mask is None:
        return past.mean(dim=1, keepdim=True)
    return past.sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def last_observed(past: Tensor, mask: Tensor | None) -> Tensor:
    """The last observed value, ``(batch, 1, neuron)``; 0 where nothing was observed."""
    if mask is None:
        return past[:, -1:]
    frames = torch.arange(past.shape[1], device=past.device)[None, :, None]
    last = torch.where(mask, frames, 0).amax(dim=1, keepdim=True)
    return past.gather(1, last)


def where_observed(forecast: Tensor, mask: Tensor | None, otherwise: Tensor) -> Tensor:
    """``otherwise`` for neurons of which a window observed nothing; ``(batch, time, neuron)``."""
    if mask is None:
        return forecast
    return torch.where(mask.any(dim=1, keepdim=True), forecast, otherwise)


def fill_missing(past: Tensor, mask: Tensor | None) -> Tensor:
    """Missing entries replaced by the mean of what was observed in the same window."""
    return past if mask is None else torch.where(mask, past, observed_mean(past, mask))
