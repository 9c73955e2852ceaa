"""The best forecast of a simulated mesoscope session that its truth allows, estimated."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from utils.evaluation.forecasts import fitted_baseline
from utils.evaluation.oracle import Oracle, checked_origins
from utils.models.forecasting.base import last_observed, observed_mean
from utils.paths import TRUTH_FOLDER
from utils.simulation.expected_calcium import ExpectedCalcium
from utils.simulation.timeline import FINE_STEP, STEPS_PER_FRAME
from utils.simulation.truth import load_truth

if TYPE_CHECKING:
    from utils.windows import WindowData, WindowSplit

RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1)  # in units of a feature's variance
N_FEATURES = 7
BATCH_VALUES = 8_000_000  # feature values in memory at once
STRIDE = 2  # of the windows fitted on: neighbours differ by one frame


class SessionOracle:
    """Forecast from the state of the simulation at the last context frame.

    For each neuron and frame ahead a ridge map from seven features, fitted on the training block
    (its strength chosen on validation): the dF/F that past spikes leave, what spikes to come are
    expected to add (:class:`utils.simulation.expected_calcium.ExpectedCalcium`), the forecast of
    the population ridge, and last value and context mean of the measured and of the true
    activity, which together tell baseline, drift and neuropil.

    What it knows: spikes up to the last context frame, rates and latents of the truth's bin (one
    frame) that holds its time, and the measured context. What it does not: the stimuli, movements
    and rewards to come, nor how a trial foretells them, and the times of spikes within a bin. A
    frame takes its samples from its time on, field of view after field of view, so the measured
    past may rest on spikes up to a frame younger than the state.

    So it is an upper reference, estimated, and no strict bound: the map is linear in its features
    and has weights to estimate, on the task; in the passive bout they are used as they are.
    """

    def __init__(self, data: WindowData, expected: ExpectedCalcium) -> None:
        self._data, self._expected = data, expected
        self._ridge = fitted_baseline("population_ridge", data)
        frames = round(1 / (data.frame_rate * FINE_STEP * STEPS_PER_FRAME))  # of a binned row
        self._steps = np.round(data.timestamps / FINE_STEP).astype(int)
        # from the last frame of the row before: half a row and half a frame
        self._lead = (frames + 1) * STEPS_PER_FRAME // 2
        if self._steps.max() >= expected.n_steps:
            raise ValueError(
                f"the data last to {data.timestamps[-1]:.1f} s, the truth to "
                f"{expected.n_steps * FINE_STEP:.1f} s: they are not of one session"
            )
        self._truth = self._true_activity()
        train, validation = self._moments(data.train), self._moments(data.validation)
        fits = [_ridge_map(train, strength) for strength in RIDGES]
        errors = [_squared_error(validation, weights) for weights in fits]
        self._weights = fits[int(np.argmin(errors))].float()  # (horizon, neuron, 1 + feature)

    def __call__(self, origins: ArrayLike) -> np.ndarray:
        """See :class:`utils.evaluation.oracle.Oracle`."""
        origins = checked_origins(origins, self._data)
        parts = np.array_split(origins, max(1, -(-len(origins) // self._batch_size)))
        return torch.cat([self._forecast(part) for part in parts]).numpy()

    @property
    def _batch_size(self) -> int:
        data = self._data
        return max(1, BATCH_VALUES // (data.horizon * data.n_neurons * (N_FEATURES + 2)))

    def _forecast(self, origins: np.ndarray) -> Tensor:
        features = self._features(origins)
        return torch.einsum("bhnp,hnp->bhn", features, self._weights)

    def _features(self, origins: np.ndarray) -> Tensor:
        """(batch, horizon, neuron, 1 + feature); the first is constant."""
        data = self._data
        now = self._steps[origins] - self._lead
        targets = self._steps[origins[:, None] + np.arange(data.horizon)]
        known, new = self._expected.known_and_new(now, targets - now[:, None])
        context = origins[:, None] + np.arange(-data.context, 0)
        past = data.activity[torch.from_numpy(context)]
        mask = ~past.isnan()
        past = past.nan_to_num(0.0)
        true = torch.from_numpy(self._truth[context])
        fixed = [
            observed_mean(past, mask),
            last_observed(past, mask),
            observed_mean(true * mask, mask),
            last_observed(true, mask),
        ]
        ridge = self._ridge.predict(past, mask=mask)
        moving = [torch.ones_like(ridge), torch.from_numpy(known), torch.from_numpy(new), ridge]
        return torch.stack([*moving, *(part.expand_as(ridge) for part in fixed)], dim=3)

    def _true_activity(self) -> np.ndarray:
        """dF/F without noise at the rows of the data, (time, neuron) float32."""
        pieces = np.array_split(self._steps, 1 + len(self._steps) // 1024)
        at_once = [self._expected.known(now, np.zeros((len(now), 1)))[:, 0] for now in pieces]
        return np.concatenate(at_once)

    def _moments(self, split: WindowSplit) -> Tensor:
        """Sums of products of features and target, (horizon, neuron, p, p) float64."""
        data = self._data
        n = N_FEATURES + 2  # constant, features, target
        total = torch.zeros(data.horizon * data.n_neurons, n, n, dtype=torch.float64)
        for starts in split.starts[::STRIDE].split(self._batch_size):
            origins = starts.numpy() + data.context
            future = data.activity[torch.from_numpy(origins[:, None] + np.arange(data.horizon))]
            rows = torch.cat([self._features(origins), future[..., None]], dim=3)
            if split.has_missing:  # a missing target: no row
                rows = torch.where(future.isnan()[..., None], 0.0, rows)
            rows = rows.flatten(1, 2).transpose(0, 1)  # (horizon x neuron, batch, p)
            total += rows.mT @ rows
        return total.reshape(data.horizon, data.n_neurons, n, n)


def session_oracle(data: WindowData, session_path: str | PathLike[str]) -> Oracle:
    """The upper reference for forecasts of a simulated session: see :class:`SessionOracle`.

    Parameters
    ----------
    data : windows of the preprocessed session, with the columns ``fov`` and ``roi`` in its
        table of neurons; dF/F or deconvolved, scaled in any way, binned or not.
    session_path : folder of the session, which holds its truth.

    Raises
    ------
    FileNotFoundError
        The session is not a simulated one.
    ValueError
        Neurons or times that the truth does not know.
    """
    truth = load_truth(session_path)
    missing = [name for name in ("fov", "roi") if name not in data.neurons]
    if missing:
        raise ValueError(
            f"the neurons of the data have no column {' and '.join(missing)}, found "
            f"{', '.join(data.neurons)}; load the preprocessed session with load_windows"
        )
    expected = ExpectedCalcium(truth, list(data.neurons["fov"]), list(data.neurons["roi"]))
    return SessionOracle(data, expected)


def open_oracle(session: Any, data: WindowData) -> Oracle | None:
    """Oracle of a recording; None where it is not simulated, so nobody knows the truth.

    Parameters
    ----------
    session : ``MesoscopeSession``, or the folder of one.
    """
    folder = getattr(session, "session_path", session)
    if folder is None or not (Path(folder) / TRUTH_FOLDER / "truth.h5").is_file():
        return None
    return session_oracle(data, folder)


def _ridge_map(moments: Tensor, strength: float) -> Tensor:
    """Weights of constant and features, (horizon, neuron, 1 + feature) float64."""
    count = moments[..., :1, :1].clamp(min=1)
    mean = moments[..., 0, 1:] / count[..., 0]
    covariance = moments[..., 1:, 1:] / count - mean[..., :, None] * mean[..., None, :]
    inner, cross = covariance[..., :-1, :-1], covariance[..., :-1, -1:]
    variance = inner.diagonal(dim1=-2, dim2=-1)
    varies = variance > 1e-9
    scale = torch.where(varies, variance.clamp(min=1e-9).rsqrt(), 0.0)
    scaled = inner * scale[..., :, None] * scale[..., None, :]
    penalty = strength + (~varies).double()
    solved = torch.linalg.solve(scaled + torch.diag_embed(penalty), cross * scale[..., None])
    slopes = solved[..., 0] * scale
    constant = mean[..., -1] - (slopes * mean[..., :-1]).sum(dim=-1)
    return torch.cat([constant[..., None], slopes], dim=-1)


def _squared_error(moments: Tensor, weights: Tensor) -> float:
    residual = torch.cat([-weights, torch.ones_like(weights[..., :1])], dim=-1)
    return float(torch.einsum("hnp,hnpq,hnq->", residual, moments, residual))
