# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Comparison
#
# All models of one session in one table: the same windows, the same baselines, with intervals.
#
# `model_runs` holds folders of runs that saved models; a pipeline fills it in. The baselines and
# the linear models are fitted here, which takes seconds. A model that does not beat the baselines
# is reported so.

# %% tags=["parameters"]
session = "small"
experiment = "forecasting"
overrides = []
rate = None
run_dir = ""
seed = 0
model_runs = []
baselines = ["persistence", "mean", "train_mean", "linear", "ar16", "population_ridge"]

# %%
import matplotlib.pyplot as plt
import pandas as pd

from utils.batch import RunFolder
from utils.config import load_config
from utils.evaluation import (
    compare,
    describe,
    fitted_baseline,
    leaderboard,
    open_oracle,
    score_forecasts,
)
from utils.load_meso_session import open_session
from utils.models.forecasting import ForecastingConfig, load_model, saved_models
from utils.plots import mark_simulated, use_style
from utils.plots.calibration import plot_calibration
from utils.plots.forecasting import (
    plot_leaderboard,
    plot_oracle_fraction,
    plot_skill_by_area,
    plot_skill_by_horizon,
)
from utils.preprocessing import preprocess
from utils.windows import load_windows

use_style()
run = RunFolder(run_dir)
config = load_config(experiment, overrides, ForecastingConfig)
recording = open_session(session, rate=rate)
data = load_windows(
    preprocess(recording, progress=False), config.windows.context, config.windows.horizon
)


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, data.source == "simulated"), name, caption)
    plt.show()


data

# %% [markdown]
# ## The models

# %%
trained = [load_model(path) for folder in model_runs for path in saved_models(folder)]
models = trained + [fitted_baseline(name, data) for name in baselines]
oracle = open_oracle(recording, data)
scores = [score_forecasts(model, data, oracle=oracle, seed=seed) for model in models]
models

# %% [markdown]
# ## Leaderboard
#
# Skill is 1 - MSE / MSE of the reference, over all frames ahead: 0 is as good as the reference, 1
# is perfect. *tie* means that the interval of the skill over the context mean holds 0. On a
# simulated session the truth is known: `of_oracle` is the part of the way from the context mean to
# the forecast of somebody who knows it.

# %%
board = leaderboard(scores)
columns = ["model", "source", "mse", "r2", "pearson", "event_f1", "auprc", "crps", "coverage_80"]
columns += [
    f"over_{n}_{p}" for n in ("persistence", "mean", "ar16") for p in ("skill", "low", "high")
]
columns += [name for name in board if name.startswith("of_oracle")]
run.save_table(
    board[[*columns, "n_blocks", "verdict"]],
    "leaderboard",
    f"Forecasts of {data.n_neurons} cells ({data.source} data), {data.context} -> {data.horizon} "
    f"frames, n = {len(data.test):,} test windows; skill with 95 % intervals; verdict about the "
    "context mean.",
)
run.save_metrics({row["model"]: row.dropna().to_dict() for _, row in board.iterrows()})
show(
    plot_leaderboard(board, ["mean", "ar16", "population_ridge"]),
    "leaderboard",
    f"Skill over three references, all frames ahead together; {data.n_neurons} cells.",
)

# %% tags=["nbval-check-output"]
print(f"{data.source} data, {data.n_neurons} cells, n = {len(data.test)} test windows")
for row in board.itertuples():
    print(f"{row.model:16} skill over the mean {row.over_mean_skill:+.3f}: {row.verdict}")

# %%
for result in scores[: len(trained)] or scores[-1:]:
    print(describe(result))

# %%
best = min(scores, key=lambda result: result.summary()["mse"])
for other in scores:
    if other is not best:
        print(f"{best.model} over {other.model}: {compare(best, other, seed=seed)}")

# %% [markdown]
# ## By time ahead

# %%
frames = pd.concat([result.to_frame() for result in scores], ignore_index=True)
run.save_table(frames, "scores", "One row per model, frame ahead and baseline.")
flat = ["persistence", "mean", "train_mean"]
shown = frames[~frames["model"].isin(flat)]
show(
    plot_skill_by_horizon(shown, ["mean", "ar16"]),
    "skill_by_horizon",
    "Skill by time ahead over the context mean and over AR16.",
)

# %%
if oracle is not None:
    show(
        plot_oracle_fraction(shown),
        "oracle_fraction",
        "Part of the way from the context mean to the forecast that knows the truth.",
    )

# %% [markdown]
# ## By area

# %%
show(
    plot_skill_by_area({s.model: s.per_neuron for s in scores if s.model not in flat}),
    "skill_by_area",
    "Skill of single cells over their context mean and over AR16, by area.",
)

# %% [markdown]
# ## How sure?
#
# A forecast should say how far off it may be. A model without a distribution of its own gets one
# from its errors on validation windows; 80 % of the truth should lie inside its 80 % interval.

# %%
show(
    plot_calibration(pd.concat([s.reliability() for s in scores]), frames),
    "calibration",
    "Predicted and observed share of the truth below each quantile; coverage of two intervals, "
    "mean (dot) and range over the time ahead.",
)

# %% [markdown]
# ## Out of distribution
#
# During the passive bout the animal watches the screen and does not work. Models fitted on the
# task are scored on it where the session has one.

# %%
if data.passive is not None:
    passive = leaderboard(
        score_forecasts(m, data, split="passive", oracle=oracle, seed=seed) for m in models
    )
    run.save_table(
        passive[[*columns, "n_blocks", "verdict"]], "passive", "The same on the passive bout."
    )
    shown = ["model", "mse", "r2", "over_mean_skill", "over_ar16_skill", "n_blocks", "verdict"]
    print(passive[shown].round(4).to_string(index=False))
else:
    print("This session has no passive bout that holds a window.")
