"""Score forecasters on ETT beside published figures: ``python -m utils.evaluation.ett ETTh1.csv``.

A setting is a file below ``3_MODELLING/experiments/ett/``: a model, its training and a lookback.
Models are fitted on the training block and chosen on the validation block; test errors are means
over all windows, horizons and channels. Tables never mix lookbacks: a longer one is an advantage
of its own.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field, model_validator
from tqdm.auto import tqdm

from utils.config import Config, ConfigError, available_configs, load_config, near_matches
from utils.datasets import ett_name, load_ett
from utils.evaluation.ett_published import PUBLISHED, published
from utils.evaluation.forecasts import BASELINES, fitted_baseline
from utils.models.forecasting import Forecaster, ForecastingConfig, WindowsConfig, configured
from utils.paths import runs_dir
from utils.training.task import past_covariates
from utils.windows import WindowData, WindowSplit

WINDOWS_AT_ONCE = 256


class EttSetting(Config):
    """``3_MODELLING/experiments/ett/<setting>.yaml``."""

    context: int = Field(ge=1, description="rows of the past: the lookback")
    horizons: list[int] = Field([96, 192, 336, 720], min_length=1)
    published: str | None = Field(
        None, description="model whose published errors stand beside; None: the model itself"
    )
    model: dict[str, Any]  # name and settings of a registered forecaster
    trainer: dict[str, Any]  # settings of utils.training.TrainerConfig; for trained models
    candidates: list[dict[str, Any]] = Field(
        [{}],
        min_length=1,
        description="settings of the model to try; the smallest validation error decides",
    )

    @model_validator(mode="after")
    def _models_are_known(self) -> EttSetting:
        list(self.forecasters(self.horizons[0], seed=0))
        return self

    def forecasters(self, horizon: int, seed: int) -> Iterator[Forecaster]:
        """The unfitted candidates."""
        windows = WindowsConfig(context=self.context, horizon=horizon)
        for candidate in self.candidates:
            config = ForecastingConfig(
                windows=windows, model=self.model | candidate, trainer=self.trainer
            )
            yield configured(config, seed=seed, progress=False)


def evaluate_ett(
    path: str | Path,
    settings: Sequence[str] | None = None,
    *,
    horizons: Sequence[int] | None = None,
    seeds: Sequence[int] = (0,),
    folder: str | Path | None = None,
) -> pd.DataFrame:
    """Fit and score settings on an ETT file; results are written after every fit.

    Parameters
    ----------
    path : csv file, see :func:`utils.datasets.read_ett`.
    settings : names below ``3_MODELLING/experiments/ett/``; None: all.
    horizons : instead of those of the settings.
    seeds : of trained models; what is solved in closed form is fitted once.
    folder : gets ``<file>.csv`` and ``<file>.md``; default ``DATA/runs/ett``.

    Returns
    -------
    One row per setting (or baseline), horizon and seed: data, setting, model, context, horizon,
    seed, n_windows, mse, mae, published_mse, published_mae, ratio (mse / published_mse),
    validation_mse, seconds (to fit all candidates).

    Raises
    ------
    ConfigError
        Unknown setting (with near matches), or a setting that is not valid.
    ValueError
        The file is not in the format of ETT, or too short for a window, or lies where the
        results would be written.
    """
    loaded = {name: load_setting(name) for name in settings or available_settings()}
    folder = Path(folder or runs_dir() / "ett")
    _check_folder(Path(path), folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    windows = _windows(loaded, horizons)
    with tqdm(total=sum(len(names) for names in windows.values())) as bar:
        for (context, horizon), names in windows.items():
            data = load_ett(path, context, horizon)
            about = {"data": ett_name(path) or Path(path).stem, "context": context}
            rows += [about | _baseline_row(name, data) for name in BASELINES]
            for name in names:
                bar.set_description(f"{name} -> {horizon}")
                rows += [about | row for row in _setting_rows(name, loaded[name], data, seeds)]
                bar.update()
                results = _with_published(pd.DataFrame(rows), loaded)
                results.to_csv(folder / f"{Path(path).stem}.csv", index=False)
                (folder / f"{Path(path).stem}.md").write_text(report(results))
    return results


def available_settings() -> list[str]:
    """Names that :func:`load_setting` knows."""
    return [name.removeprefix("ett/") for name in available_configs() if name.startswith("ett/")]


def load_setting(name: str) -> EttSetting:
    """A validated setting by name; an unknown name is an error with near matches."""
    if name not in available_settings():
        raise ConfigError(f"unknown setting '{name}'{near_matches(name, available_settings())}")
    return load_config(f"ett/{name}", schema=EttSetting)


def mean_errors(forecaster: Forecaster, block: WindowSplit) -> tuple[float, float]:
    """Mean squared and mean absolute error over all windows, horizons and channels."""
    squares = absolute = count = 0.0
    for batch in block.batches(WINDOWS_AT_ONCE):
        future = forecaster.predict(batch.past, past_covariates(batch), batch.past_mask)
        difference = (future - batch.future).double()
        squares += difference.square().sum().item()
        absolute += difference.abs().sum().item()
        count += difference.numel()
    return squares / count, absolute / count


def report(results: pd.DataFrame) -> str:
    """Markdown: one table per lookback, means over seeds (+- their standard deviation)."""
    name = results["data"].iloc[0]
    text = [f"# {name}: errors on all test windows, in z-units of the training block"]
    for context, part in results.groupby("context"):
        text += [f"## Lookback {context}", _markdown(_summary(part))]
    sources = [p for p in PUBLISHED if p.data == name and p.context in set(results["context"])]
    if sources:
        lines = [f"- {p.model}, lookback {p.context}: {p.source}" for p in sources]
        text += ["Published figures:", "\n".join(lines)]
    else:
        text.append("No published figures are stored for this file (by content, not by name).")
    return "\n\n".join(text) + "\n"


def _check_folder(path: Path, folder: Path) -> None:
    if path.is_file() and path.resolve() == (folder / f"{path.stem}.csv").resolve():
        raise ValueError(f"the results would replace {path}; give another output folder")


def _windows(
    settings: dict[str, EttSetting], horizons: Sequence[int] | None
) -> dict[tuple[int, int], list[str]]:
    """Names of settings by lookback and horizon: each pair is loaded once."""
    found: dict[tuple[int, int], list[str]] = {}
    for name, setting in settings.items():
        for horizon in horizons or setting.horizons:
            found.setdefault((setting.context, horizon), []).append(name)
    return dict(sorted(found.items()))


def _baseline_row(name: str, data: WindowData) -> dict[str, Any]:
    begin = time.perf_counter()
    forecaster = fitted_baseline(name, data)
    seconds = time.perf_counter() - begin
    validation, _ = mean_errors(forecaster, data.validation)
    return {"setting": "baseline", "seed": 0} | _row(forecaster, data, validation, seconds)


def _setting_rows(
    name: str, setting: EttSetting, data: WindowData, seeds: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """One row per seed: the candidate with the smallest validation error, on the test windows."""
    trained = "trainer" in type(next(setting.forecasters(data.horizon, 0))).Config.model_fields
    for seed in seeds if trained else seeds[:1]:
        begin = time.perf_counter()
        fitted = [forecaster.fit(data) for forecaster in setting.forecasters(data.horizon, seed)]
        seconds = time.perf_counter() - begin
        errors = [mean_errors(forecaster, data.validation)[0] for forecaster in fitted]
        best = int(np.argmin(errors))
        yield {"setting": name, "seed": seed} | _row(fitted[best], data, errors[best], seconds)


def _row(
    forecaster: Forecaster, data: WindowData, validation: float, seconds: float
) -> dict[str, Any]:
    mse, mae = mean_errors(forecaster, data.test)
    return {
        "model": forecaster.name,
        "horizon": data.horizon,
        "n_windows": len(data.test),
        "mse": mse,
        "mae": mae,
        "validation_mse": validation,
        "seconds": seconds,
    }


def _with_published(results: pd.DataFrame, settings: dict[str, EttSetting]) -> pd.DataFrame:
    """The published errors of the same model (or the one that a setting names), NaN without."""
    found = []
    for row in results.itertuples():
        setting = settings.get(row.setting)
        model = (setting and setting.published) or row.model
        source = published(model, row.data, row.context)
        found.append(source.errors.get(row.horizon) if source else None)
    pairs = np.array([pair or (np.nan, np.nan) for pair in found])
    columns = results.assign(published_mse=pairs[:, 0], published_mae=pairs[:, 1])
    return columns.assign(ratio=columns["mse"] / columns["published_mse"])


def _summary(part: pd.DataFrame) -> pd.DataFrame:
    """One row per setting and horizon, best first within a horizon."""
    groups = part.groupby(["horizon", "setting", "model"], sort=False)
    table = groups.mean(numeric_only=True).drop(columns=["context", "seed"])
    table["sd"], table["seeds"] = groups["mse"].std(), groups.size()
    return table.reset_index().sort_values(["horizon", "mse"], ignore_index=True)


def _markdown(table: pd.DataFrame) -> str:
    names = ["horizon", "setting", "model", "windows", "seeds", "MSE", "MAE", "published MSE"]
    names += ["published MAE", "ratio", "validation MSE", "seconds to fit"]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in table.itertuples():
        spread = f" ± {row.sd:.4f}" if row.seeds > 1 else ""
        cells = [row.horizon, row.setting, row.model, f"{row.n_windows:.0f}", row.seeds]
        cells += [f"{row.mse:.4f}{spread}", f"{row.mae:.4f}"]
        cells += [_or_na(value) for value in (row.published_mse, row.published_mae, row.ratio)]
        cells += [f"{row.validation_mse:.4f}", f"{row.seconds:.1f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _or_na(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns 0 when everything was scored."""
    options = _parser().parse_args(arguments)
    try:
        names = options.settings or available_settings()
        if options.models:
            names = _of_models(options.models, names)
        folder = options.output or runs_dir() / "ett"
        results = evaluate_ett(
            options.file, names, horizons=options.horizons, seeds=options.seeds, folder=folder
        )
    except (ValueError, FileNotFoundError) as error:  # what a wrong input raises in all rooms
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report(results))
    print(f"written: {folder}/{Path(options.file).stem}.csv and .md")
    return 0


def _of_models(models: Sequence[str], names: Sequence[str]) -> list[str]:
    """Settings of some models; a model without any is an error with near matches."""
    by_name = {name: load_setting(name).model["name"] for name in names}
    for model in models:
        if model not in by_name.values():
            known = sorted(set(by_name.values()))
            raise ConfigError(f"no setting of a model '{model}'{near_matches(model, known)}")
    return [name for name, model in by_name.items() if model in models]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m utils.evaluation.ett",
        description="Fit and score forecasters on an ETT file, beside published figures: one "
        "table per lookback.",
        epilog=f"settings: {', '.join(available_settings())}",
    )
    parser.add_argument("file", type=Path, help="ETTh1.csv, ETTh2.csv, ETTm1.csv or ETTm2.csv")
    parser.add_argument("--settings", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="all settings of these models")
    parser.add_argument(
        "--horizons", nargs="+", type=int, metavar="N", help="default: those of the settings"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N", help="default: 0")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: DATA/runs/ett")
    return parser


if __name__ == "__main__":
    sys.exit(main())
