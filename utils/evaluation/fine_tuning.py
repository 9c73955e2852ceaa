"""Does what was learnt on other sessions help where only minutes of a new one are at hand?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from utils.evaluation.forecasts import score_forecasts
from utils.models.forecasting import build_forecaster

if TYPE_CHECKING:
    from utils.models.forecasting.sessions import SessionsForecaster
    from utils.windows import WindowData


def few_minutes(
    model: SessionsForecaster,
    data: WindowData,
    minutes: Sequence[float] = (2.0, 5.0, 10.0),
    *,
    baselines: Sequence[str] = ("population_ridge", "ar16", "train_mean"),
    split: str = "test",
    stride: int = 1,
) -> pd.DataFrame:
    """Fine-tuned, trained from scratch and baselines, each on the same few minutes.

    Parameters
    ----------
    model : fitted on other sessions; it does not change.
    data : the new session. Each forecaster sees the last ``minutes`` of its training block;
        validation windows choose settings and the epoch, the block ``split`` is scored.
    baselines : names of forecasters that are fitted on the same minutes.
    stride : score every ``stride``-th window.

    Returns
    -------
    One row for each number of minutes and forecaster (``frozen core``, ``all weights``,
    ``from scratch`` and the baselines): minutes (those that the block has, where it has fewer),
    forecaster, mse, r2 (about the mean of these minutes), and ``over_<baseline>_skill`` with its
    interval ``_low``, ``_high``.

    Raises
    ------
    ValueError
        ``data`` are of a session that the model was fitted on: it has seen more than minutes.
    """
    if data.content_hash in {one.fitted_on.content_hash for one in model.sessions}:
        raise ValueError(
            "the model was fitted on this session, whose minutes are no longer few; fit it on "
            "other sessions"
        )
    rows = []
    for some in minutes:
        short = data.last_training(some)
        fitted = {
            "frozen core": model.fine_tune(short),
            "all weights": model.fine_tune(short, freeze_core=False),
            "from scratch": type(model)(**model.config.model_dump()).fit(short),
            **{name: build_forecaster(name).fit(short) for name in baselines},
        }
        for name, forecaster in fitted.items():
            scores = score_forecasts(
                forecaster, short, split=split, baselines=baselines, stride=stride
            ).summary()
            skills = {key: value for key, value in scores.items() if key.startswith("over_")}
            about = {"minutes": min(some, data.train.minutes), "forecaster": name}
            rows.append(about | {key: scores[key] for key in ("mse", "r2")} | skills)
    return pd.DataFrame(rows)
