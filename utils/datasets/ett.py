"""ETT: two years of loads and oil temperature of power transformers, in z-units of the train block.

The usual benchmark of long forecasts: ETTh1 and ETTh2 (hourly), ETTm1 and ETTm2 (every 15 minutes).
Borders, scaling and windows are those of all published tables: 12, 4 and 4 months of 30 days for
training, validation and test, what comes after is unused; z-scores of the training block; contexts
of validation and test windows reach back into the block before; every window counts.

Data: ETDataset, https://github.com/zhouhaoyi/ETDataset (CC BY-ND 4.0); to be cited as Zhou et al.,
"Informer: Beyond Efficient Transformer for Long Sequence Time-Series Forecasting", AAAI 2021.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from utils.config import ConfigError, near_matches
from utils.paths import data_dir
from utils.splits import TEST, TRAIN, UNUSED, VALIDATION
from utils.windows import WindowData, window_data

logger = logging.getLogger(__name__)

CHANNELS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")  # six loads, oil temperature
STEPS = {"h": 60, "m": 15}  # minutes between rows
MONTHS = {TRAIN: 12, VALIDATION: 4, TEST: 4}
MONTH = pd.Timedelta(days=30)
SOURCE = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small"
SHA256 = {
    "ETTh1": "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
    "ETTh2": "a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b",
    "ETTm1": "6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e",
    "ETTm2": "db973ca252c6410a30d0469b13d696cf919648d0f3fd588c60f03fdbdbadd1fd",
}


def load_ett(path: str | Path, context: int, horizon: int) -> WindowData:
    """Windows of an ETT file as in the published tables.

    ``WindowDataModule(load_ett(path, 96, 96), batch_size=32)`` serves them to a Lightning trainer.

    Parameters
    ----------
    path : csv file, see :func:`read_ett` and :func:`fetch_ett`.
    context, horizon : rows of the past (lookback) and of the future. Hourly data have 8640 -
        context - horizon + 1 training windows and 2880 - horizon + 1 of validation and of test.

    Returns
    -------
    Activity is float32 (time, 7) in standard deviations of the training block, covariates are the
    :func:`calendar_marks`; ``source`` is ``"ett"`` for the published files, else ``"unknown"``.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no such file, or it is not in the format of ETT, see :func:`read_ett`.
    """
    table = read_ett(path)
    marks = calendar_marks(table.index)
    return window_data(
        table.to_numpy(np.float32),
        (table.index - table.index[0]).total_seconds(),
        context,
        horizon,
        covariates=marks.to_numpy(np.float32),
        covariate_names=list(marks),
        split=_split(table.index),
        scale="zscore",
        neurons=pd.DataFrame({"uuid": CHANNELS}),
        source="ett" if ett_name(path) else "unknown",
        unit="z",
        reach_back=True,
    )


def read_ett(path: str | Path) -> pd.DataFrame:
    """The seven channels (time, channel) float64 of an ETT file, indexed by date.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        A column is missing, rows are neither one hour nor 15 minutes apart, a value is missing,
        or the file ends before the 20 months of the standard borders.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {path}; fetch_ett('ETTh1') downloads it, or get it from {SOURCE}/ETTh1.csv"
        )
    try:
        table = pd.read_csv(path)
    except ValueError as error:  # empty, ragged, or not text
        raise ValueError(f"{path} is no readable csv: {error}") from None
    missing = [name for name in ("date", *CHANNELS) if name not in table]
    if missing:
        raise ValueError(
            f"{path}: no column {', '.join(missing)}; expected date, {', '.join(CHANNELS)}, found "
            f"{', '.join(map(str, table.columns))}"
        )
    table.index = pd.DatetimeIndex(pd.to_datetime(table.pop("date"), errors="coerce"))
    table = table[list(CHANNELS)].apply(pd.to_numeric, errors="coerce")
    _check_rows(path, table)
    return table


def calendar_marks(dates: pd.DatetimeIndex) -> pd.DataFrame:
    """Hour, weekday, day of the month and of the year of each row, each in -0.5 .. 0.5.

    Data with several rows an hour have the minute, too. These are the time features of the
    Informer; as all covariates they reach a model for the past alone.
    """
    marks = {
        "hour": dates.hour / 23,
        "weekday": dates.day_of_week / 6,
        "day": (dates.day - 1) / 30,
        "day_of_year": (dates.day_of_year - 1) / 365,
    }
    if (dates.minute != dates.minute[0]).any():
        marks = {"minute": dates.minute / 59} | marks
    return pd.DataFrame(marks, index=dates) - 0.5


def ett_name(path: str | Path) -> str | None:
    """Which of the published files this is, by its content; None where it is none of them."""
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return next((name for name, known in SHA256.items() if known == digest), None)


def fetch_ett(name: str = "ETTh1") -> Path:
    """Download a file to ``DATA/ett`` unless it is there; its content is checked.

    Raises
    ------
    ConfigError
        Unknown name.
    ConnectionError
        No network, or what arrived is not the published file.
    """
    if name not in SHA256:
        raise ConfigError(f"unknown ETT file '{name}'{near_matches(name, list(SHA256))}")
    path = data_dir() / "ett" / f"{name}.csv"
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        url = f"{SOURCE}/{name}.csv"
        logger.info("downloading %s (Zhou et al., AAAI 2021; CC BY-ND 4.0)", url)
        try:
            torch.hub.download_url_to_file(url, path, hash_prefix=SHA256[name])
        except (OSError, RuntimeError) as error:  # no network; another content
            raise ConnectionError(
                f"cannot fetch {url}: {error}; download it elsewhere and put it at {path}"
            ) from None
    return path


def write_ett_like(path: str | Path, step: str = "h", months: float = 20.0, seed: int = 0) -> Path:
    """Write simulated data in the format of an ETT file: daily rhythms, slow drift and noise.

    Parameters
    ----------
    step : ``"h"`` for a row an hour, ``"m"`` for one every 15 minutes.
    months : of 30 days.
    """
    rng = np.random.default_rng(seed)
    n_rows = round(months * (MONTH / pd.Timedelta(minutes=STEPS[step])))
    dates = pd.date_range("2016-07-01", periods=n_rows, freq=f"{STEPS[step]}min", name="date")
    days = (np.arange(n_rows) * STEPS[step] / (24 * 60))[:, None]
    phase, size = rng.uniform(0, 1, len(CHANNELS)), rng.uniform(1, 3, len(CHANNELS))
    drift = rng.standard_normal((n_rows, len(CHANNELS))).cumsum(axis=0) * 0.02
    noise = rng.standard_normal((n_rows, len(CHANNELS))) * 0.5
    values = 5 + size * np.sin(2 * np.pi * (days + phase)) + drift + noise
    pd.DataFrame(values, dates, CHANNELS).to_csv(path, float_format="%.6g")
    return Path(path)


def _split(dates: pd.DatetimeIndex) -> NDArray[np.int8]:
    """Labels of the standard borders."""
    labels, first = np.full(len(dates), UNUSED, np.int8), 0
    for label, months in MONTHS.items():
        n_rows = round(months * (MONTH / (dates[1] - dates[0])))
        labels[first : first + n_rows] = label
        first += n_rows
    return labels


def _check_rows(path: Path, table: pd.DataFrame) -> None:
    """Refuse rows that the standard borders cannot be counted on."""
    dates = table.index
    if dates.hasnans:
        raise ValueError(f"{path}: row {int(dates.isna().argmax())} has no readable date")
    steps = np.diff(dates.to_numpy()) / np.timedelta64(1, "m")
    step = float(np.median(steps)) if len(steps) else 0.0
    if step not in STEPS.values():
        raise ValueError(
            f"{path}: rows are {step:g} minutes apart; expected 60 (ETTh) or 15 (ETTm)"
        )
    if (steps != step).any():
        row = int((steps != step).argmax())
        raise ValueError(
            f"{path}: rows {row} ({dates[row]}) and {row + 1} ({dates[row + 1]}) are "
            f"{steps[row]:g} minutes apart, the others {step:g}; rows are missing or repeated"
        )
    absent = table.isna().to_numpy() | np.isinf(table.to_numpy())
    if absent.any():
        row, channel = (int(i) for i in np.argwhere(absent)[0])
        raise ValueError(f"{path}: {CHANNELS[channel]} has no finite number in row {row}")
    needed = round(sum(MONTHS.values()) * (MONTH / pd.Timedelta(minutes=step)))
    if len(table) < needed:
        raise ValueError(
            f"{path} is truncated: {len(table)} rows, the standard borders (12, 4 and 4 months of "
            f"30 days) need {needed}"
        )
