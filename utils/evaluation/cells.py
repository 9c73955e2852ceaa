"""Score single cells on the next frame: activity and events, beside what linear models say.

The frames are those that follow the context of a window. A linear model has no probability of an
event; its forecast of the activity ranks the frames instead, which is all that areas under curves
look at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from utils.evaluation.forecasts import find_block, fitted_baseline
from utils.metrics import ForecastErrors, average_precision, block_bootstrap
from utils.metrics.bootstrap import BLOCK_SECONDS, interval_of_draws
from utils.models.elm.cells import CellNeurons
from utils.models.forecasting import build_forecaster
from utils.models.forecasting.simple import train_moments
from utils.training import past_covariates

if TYPE_CHECKING:
    from utils.models.forecasting import Forecaster
    from utils.windows import WindowData, WindowSplit

FLOORS = ("persistence", "ar16", "linear", "population_ridge")  # linear: the whole context
EVENT_DRAWS = 200


class CellSaid(NamedTuple):
    """What a model said of the next frame."""

    activity: NDArray[np.float32]  # (frame, cell)
    event: NDArray[np.float32]  # (frame, cell), more for a likelier event


@dataclass(frozen=True)
class CellScores:
    """Scores of ELM neurons and floors on one block."""

    by_cell: pd.DataFrame
    """One row per cell and model: cell, region (where known), model, r2 of the activity about the
    train mean with its interval low and high, auprc and auc of events, n_events, n_frames."""
    overall: pd.DataFrame
    """One row per ELM model and floor, all cells together: model, floor, skill (1 - MSE / MSE of
    the floor) and auprc_gain (mean over cells), each with low and high; n_blocks."""


def score_cells(
    models: Mapping[str, CellNeurons],
    data: WindowData,
    *,
    split: str = "test",
    floors: Sequence[str] = FLOORS,
    seed: int = 0,
) -> CellScores:
    """Score fitted ELM neurons and floors on the same frames of a block.

    Parameters
    ----------
    models : by the name in the tables; all of the same cells, with the same events.
    floors : forecasters, fitted here on the training block; with behaviour where they take it.
    seed : of the bootstrap.

    Intervals are 95 % of a moving-block bootstrap of minutes, NaN below ten of them.

    Raises
    ------
    DataMismatchError
        The neurons were fitted on another recording.
    ValueError
        The recording has no such block, or the models are of different cells.
    """
    block, (cells, deviations) = find_block(data, split), _common(models)
    forecasts = {name: model.forecast(block) for name, model in models.items()}
    said = {name: CellSaid(one.activity, one.probability) for name, one in forecasts.items()}
    for name in floors:
        activity = _next_frame(_fitted_floor(name, data), block)[:, cells]
        said[name] = CellSaid(activity, activity)
    frames = next(iter(forecasts.values())).frames
    mean, deviation = (part[cells].numpy() for part in train_moments(data))
    scored = _Scored(
        truth=data.activity[torch.from_numpy(frames)][:, cells].numpy(),
        seconds=data.timestamps[frames],
        frame_rate=data.frame_rate,
        train_mean=mean,
        threshold=mean + deviations * deviation,
        seed=seed,
    )
    by_cell = pd.concat([scored.by_cell(one, cells, name) for name, one in said.items()])
    if "region" in data.neurons:
        by_cell.insert(1, "region", data.neurons["region"].to_numpy()[by_cell["cell"]])
    return CellScores(by_cell.reset_index(drop=True), scored.overall(said, list(models)))


@dataclass(frozen=True)
class _Scored:
    """The frames of a block that are scored."""

    truth: NDArray[np.float32]  # (frame, cell), NaN where missing
    seconds: NDArray[np.float64]  # (frame,)
    frame_rate: float
    train_mean: NDArray[np.float64]  # (cell,)
    threshold: NDArray[np.float64]  # (cell,) of an event
    seed: int

    def by_cell(self, said: CellSaid, cells: Sequence[int], name: str) -> pd.DataFrame:
        """One row per cell."""
        auprc = average_precision(said.event[:, None], self.truth[:, None], self.threshold)[0]
        rows = []
        for place, cell in enumerate(cells):
            truth = self.truth[:, place]
            seen = np.isfinite(truth)
            events = truth[seen] > self.threshold[place]
            level = np.full_like(truth, self.train_mean[place])
            errors = (self._errors(each, [place]) for each in (said.activity[:, place], level))
            r2 = block_bootstrap(*errors, seed=self.seed)
            mixed = 0 < events.sum() < len(events)
            rows.append(
                {
                    "cell": cell,
                    "model": name,
                    "r2": r2.skill[0],
                    "r2_low": r2.low[0],
                    "r2_high": r2.high[0],
                    "auprc": auprc[place],
                    "auc": roc_auc_score(events, said.event[seen, place]) if mixed else np.nan,
                    "n_events": int(events.sum()),
                    "n_frames": len(events),
                }
            )
        return pd.DataFrame(rows)

    def overall(self, said: Mapping[str, CellSaid], models: Sequence[str]) -> pd.DataFrame:
        """One row per model and floor."""
        every = list(range(self.truth.shape[1]))
        errors = {name: self._errors(one.activity, every) for name, one in said.items()}
        auprc = {name: self._auprc_draws(one) for name, one in said.items()}
        rows = []
        for model, floor in product(models, [name for name in said if name not in models]):
            skill = block_bootstrap(errors[model], errors[floor], seed=self.seed)
            gain, *draws = auprc[model] - auprc[floor]
            low, high = np.nan, np.nan
            if skill.estimable:
                ends = interval_of_draws(np.array([gain]), np.c_[draws], skill.n_blocks, 0.95)
                low, high = (float(end[0]) for end in ends)
            rows.append(
                {
                    "model": model,
                    "floor": floor,
                    "skill": skill.skill[0],
                    "skill_low": skill.low[0],
                    "skill_high": skill.high[0],
                    "auprc_gain": gain,
                    "auprc_gain_low": low,
                    "auprc_gain_high": high,
                    "n_blocks": skill.n_blocks,
                }
            )
        return pd.DataFrame(rows)

    def _errors(self, activity: NDArray, places: list[int]) -> ForecastErrors:
        shape = len(self.truth), 1, len(places)
        errors = ForecastErrors(self.train_mean[places], self.frame_rate)
        return errors.update(
            activity.reshape(shape), self.truth[:, places].reshape(shape), start_times=self.seconds
        )

    def _auprc_draws(self, said: CellSaid) -> NDArray[np.float64]:
        """Mean over cells: of all frames first, then of draws of whole minutes of them."""
        n = len(self.truth)
        length = min(round(BLOCK_SECONDS * self.frame_rate), n)
        starts = np.random.default_rng(self.seed).integers(n, size=(EVENT_DRAWS, -(-n // length)))
        drawn = (starts[:, :, None] + np.arange(length)).reshape(EVENT_DRAWS, -1)[:, :n] % n
        areas = [
            average_precision(said.event[frames, None], self.truth[frames, None], self.threshold)
            for frames in (np.arange(n), *drawn)
        ]
        return np.array([np.nanmean(area) if np.isfinite(area).any() else np.nan for area in areas])


def _common(models: Mapping[str, CellNeurons]) -> tuple[list[int], float]:
    """Cells and event threshold that all models share."""
    found = {(tuple(one.cells), one.config.event_deviations) for one in models.values()}
    if len(found) != 1:
        raise ValueError(
            f"models must be of the same cells and the same events, found {len(found)} kinds"
        )
    ((cells, deviations),) = found
    return list(cells), deviations


def _fitted_floor(name: str, data: WindowData) -> Forecaster:
    floor = build_forecaster(name)
    if data.covariates is None or not hasattr(floor.config, "covariates"):
        return fitted_baseline(name, data)
    return build_forecaster(name, covariates=True).fit(data)


def _next_frame(forecaster: Forecaster, block: WindowSplit) -> NDArray[np.float32]:
    """(window, neuron)."""
    batches = (
        forecaster.predict(batch.past, past_covariates(batch), batch.past_mask)[:, 0]
        for batch in block.batches(512)
    )
    return torch.cat(list(batches)).numpy()
