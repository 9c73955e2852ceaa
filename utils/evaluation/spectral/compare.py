"""Architectures and losses side by side: fit all of them, and one table of their heads.

A setting is an experiment, a file below ``3_MODELLING/experiments/spectral/``; models and losses
from ``model/`` and ``loss/`` beside it may take the place of its own, in all combinations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from utils.config import load_config, validate_config
from utils.datasets.vimh import VIMHConfig, VIMHDataModule, learnable_heads, vimh_data
from utils.evaluation.spectral.baselines import Samples, samples_of
from utils.evaluation.spectral.evaluate import (
    MODEL,
    identifiable_heads,
    reference_predictions,
    score_heads,
)
from utils.models.spectral import SpectralExperiment, fit_spectral, heads_of
from utils.paths import runs_dir

SCORES = ("accuracy", "mae", "class_mae", "jnd", "calibration_error")


def compare_spectral(
    experiments: Mapping[str, SpectralExperiment],
    seeds: Sequence[int] = (0,),
    folder: str | Path | None = None,
) -> pd.DataFrame:
    """Fit and score experiments, beside the baselines of their data sets.

    Models are chosen on validation samples; scores are of the test part.

    Parameters
    ----------
    experiments : by the name of their row, see :func:`spectral_settings`.
    seeds : of the training; baselines have none.
    folder : gets ``comparison.csv`` and ``comparison.md`` after every fit; None: nothing is kept.

    Returns
    -------
    One row per data set, setting (or baseline), seed and head: ``data``, ``setting``, ``seed``,
    ``head``, the columns of :func:`~utils.evaluation.spectral.score_heads`, ``identifiable``,
    ``parameters`` (learned numbers), ``epochs`` and ``seconds`` (of training).
    """
    tables: list[pd.DataFrame] = []
    with tqdm(total=len(experiments) * len(seeds)) as bar:
        for config, named in _by_data(experiments).items():
            data = vimh_data(config, next(iter(named.values())).trainer.batch_size)
            test, identifiable = _about(data)
            tables.append(_described(_baselines(data, test), config, identifiable))
            for (name, experiment), seed in product(named.items(), seeds):
                bar.set_description(name)
                scores = _fitted(experiment, seed, test).assign(setting=name)
                tables.append(_described(scores, config, identifiable))
                bar.update()
                results = pd.concat(tables, ignore_index=True)
                if folder is not None:
                    _write(results, Path(folder))
    return results


def spectral_settings(
    experiments: Sequence[str],
    models: Sequence[str] = (),
    losses: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> dict[str, SpectralExperiment]:
    """Experiments by name, each with every model and every loss, where these are given.

    Parameters
    ----------
    experiments, models, losses : names below ``experiments/spectral/``, its ``model/`` and its
        ``loss/``.
    overrides : of all experiments, such as ``trainer.max_epochs=10``.

    Raises
    ------
    ConfigError
        An unknown name or key, or a model that does not take the inputs of an experiment.
    """
    settings = {}
    for name, model, loss in product(experiments, models or [""], losses or [""]):
        values = load_config(f"spectral/{name}", overrides)
        if model:
            values |= load_config(f"spectral/model/{model}")
        if loss:
            values["loss"] = load_config(f"spectral/loss/{loss}")
        title = " + ".join(part for part in (name, model, loss) if part)
        settings[title] = validate_config(SpectralExperiment, values, f"setting '{title}'")
    return settings


def report(results: pd.DataFrame) -> str:
    """Markdown: a table per data set and head, means over seeds (± their standard deviation)."""
    text = ["# Spectral models: scores on test samples"]
    for (data, head), part in results.groupby(["data", "head"], sort=False):
        first = part.iloc[0]
        can = "can" if first["identifiable"] else "cannot"
        text.append(f"## {head}, of {data}")
        text.append(
            f"MAE in {first['unit']}, n = {first['n']} samples. Probes {can} tell it from the "
            "inputs."
        )
        text.append(_markdown(part))
    return "\n\n".join(text) + "\n"


def default_folder() -> Path:
    """Where the command writes."""
    return runs_dir() / "spectral"


def _by_data(
    experiments: Mapping[str, SpectralExperiment],
) -> dict[VIMHConfig, dict[str, SpectralExperiment]]:
    """Experiments on the same data set stand together: it is made once."""
    found: dict[VIMHConfig, dict[str, SpectralExperiment]] = {}
    for name, experiment in experiments.items():
        found.setdefault(experiment.data, {})[name] = experiment
    return found


def _about(data: VIMHDataModule) -> tuple[Samples, dict[str, bool]]:
    """Test samples, and which heads can be learned."""
    test = samples_of(data.test_dataloader())
    return test, identifiable_heads(learnable_heads(data.data), data)


def _baselines(data: VIMHDataModule, test: Samples) -> pd.DataFrame:
    heads = heads_of(data.parameters)
    scores = score_heads(reference_predictions(data, test, heads), test, heads).reset_index()
    return scores.rename(columns={"model": "setting"})


def _fitted(experiment: SpectralExperiment, seed: int, test: Samples) -> pd.DataFrame:
    """Scores by head of a fit."""
    trainer = experiment.trainer.model_copy(update={"seed": seed})
    experiment = experiment.model_copy(update={"trainer": trainer})
    data = vimh_data(experiment.data, trainer.batch_size)
    model, training = fit_spectral(experiment, data)
    said = {MODEL: model.predict(data.test_dataloader())}
    scores = score_heads(said, test, model.heads).droplevel("model").reset_index()
    return scores.assign(
        seed=seed,
        parameters=model.n_parameters,
        epochs=training.epochs,
        seconds=training.seconds,
    )


def _described(
    scores: pd.DataFrame, config: VIMHConfig, identifiable: Mapping[str, bool]
) -> pd.DataFrame:
    made_of = Path(config.folder).name if config.folder else config.synthesiser
    inputs = " + ".join((config.inputs, *config.auxiliary))
    columns = {"data": f"{made_of} ({inputs})", "identifiable": scores["head"].map(identifiable)}
    filled = {"seed": 0, "parameters": 0, "epochs": 0, "seconds": np.nan}
    order = ["data", "setting", "seed", "head"]
    scores = scores.assign(**columns, **{k: v for k, v in filled.items() if k not in scores})
    return scores[order + [name for name in scores if name not in order]]


def _write(results: pd.DataFrame, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    results.to_csv(folder / "comparison.csv", index=False)
    (folder / "comparison.md").write_text(report(results))


def _markdown(part: pd.DataFrame) -> str:
    """One row per setting, the smallest mean error first."""
    names = ["setting", "parameters", "seeds", "accuracy", "MAE", "MAE of classes", "JND score"]
    names += ["calibration error", "seconds"]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    rows = sorted(_summaries(part), key=lambda row: row["mae"])
    for row in rows:
        spreads = {name: f" ± {row[f'{name} sd']:.4f}" * (row["seeds"] > 1) for name in SCORES}
        cells = [row["setting"], f"{row['parameters']:,}" if row["parameters"] else "-"]
        cells += [row["seeds"], *(_number(row[name], spreads[name]) for name in SCORES)]
        cells.append(_number(row["seconds"], digits=1))
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _summaries(part: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for setting, rows in part.groupby("setting", sort=False):
        means = rows[[*SCORES, "seconds"]].mean().to_dict()
        spreads = {f"{name} sd": rows[name].std() for name in SCORES}
        about = {"setting": setting, "seeds": len(rows), "parameters": rows["parameters"].iloc[0]}
        yield about | means | spreads


def _number(value: float, spread: str = "", digits: int = 4) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}f}{spread}"
