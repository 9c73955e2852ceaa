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
# # Baselines
#
# How well can the activity of the next seconds be forecast by means that need no training? A
# model is worth its name only if it beats all of these, on windows that none of them has seen:
#
# - **persistence**: the last value stays.
# - **mean**: the mean of the context; **train_mean**: the mean of the training block.
# - **linear**: a ridge map of each cell from its context to all frames ahead, in closed form.
# - **ar16**: the same from the last 16 frames: the primary baseline.
# - **population_ridge**: ar16 and the last frames of the leading components of all cells;
#   validation decides whether, and how much, the population counts.

# %% tags=["parameters"]
session = "small"
experiment = "forecasting"
overrides = []
rate = None
run_dir = ""
seed = 0
models = ["persistence", "mean", "train_mean", "linear", "ar16", "population_ridge"]

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from utils.batch import RunFolder
from utils.config import load_config
from utils.evaluation import describe, leaderboard, score_forecasts
from utils.load_meso_session import open_session
from utils.models.forecasting import ForecastingConfig, build_forecaster
from utils.plots import mark_simulated, use_style
from utils.plots.forecasting import (
    plot_example_forecasts,
    plot_leaderboard,
    plot_skill_by_area,
    plot_skill_by_horizon,
)
from utils.preprocessing import preprocess
from utils.windows import load_windows

use_style()
run = RunFolder(run_dir)
config = load_config(experiment, overrides, ForecastingConfig)
session_file = preprocess(open_session(session, rate=rate), progress=False)
data = load_windows(session_file, config.windows.context, config.windows.horizon)


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, data.source == "simulated"), name, caption)
    plt.show()


data

# %% [markdown]
# ## Fit and score
#
# Fitting uses the training block, ridge strengths are chosen on the validation block, scores are
# those of the test block. An interval comes from drawing minutes of the test block, and cells,
# again and again; with fewer than ten minutes it is not given.

# %%
fitted = {name: build_forecaster(name).fit(data) for name in models}
scores = {name: score_forecasts(model, data, seed=seed) for name, model in fitted.items()}
board = leaderboard(scores.values())
run.save_table(board, "baselines", "Baselines on the test block; skill = 1 - MSE / MSE of another.")
run.save_metrics({name: result.summary() for name, result in scores.items()})
board[["model", "source", "mse", "mae", "r2", "pearson", "event_f1", "n_blocks", "verdict"]].round(
    4
)

# %% tags=["nbval-check-output"]
print(f"{data.source} data, {data.n_neurons} cells, n = {len(data.test)} test windows")
for row in board.itertuples():
    print(f"{row.model:16} MSE {row.mse:.4f}  skill over the mean {row.over_mean_skill:+.3f}")

# %%
show(
    plot_leaderboard(board, ["persistence", "mean", "ar16"]),
    "baselines",
    f"Skill over three references, all frames ahead together; {data.n_neurons} cells.",
)

# %% [markdown]
# ## How far ahead?
#
# The first frames are easy, because the indicator decays slowly. What is left after a few seconds
# is the slow state of the animal.

# %%
frames = pd.concat([result.to_frame() for result in scores.values()], ignore_index=True)
run.save_table(frames, "scores", "One row per model, frame ahead and baseline.")
show(
    plot_skill_by_horizon(frames[~frames["model"].isin(["persistence"])], ["persistence", "mean"]),
    "skill_by_horizon",
    "Skill by time ahead over the last value and over the context mean.",
)

# %% [markdown]
# ## Examples
#
# The cells that vary most, a stretch of the test block, and what was forecast every few seconds.
# A good forecast of noisy activity is much smoother than the activity.

# %%
first = int(data.test.starts[0])
origins = np.arange(data.context, 5 * data.context, 2 * data.horizon)
windows = data.test.batch(origins - data.context)
stretch = slice(first, first + 5 * data.context + data.horizon)
activity = data.activity[stretch].numpy()
cells = np.argsort(-np.nan_to_num(np.nanstd(activity, axis=0)))[:5]
examples = {
    name: fitted[name].predict(windows.past, mask=windows.past_mask).numpy()
    for name in ("persistence", "mean", "ar16")
    if name in fitted
}
show(
    plot_example_forecasts(data.timestamps[stretch], activity, origins, examples, cells, data.unit),
    "examples",
    "Recorded activity of five cells, and forecasts from the dotted moments on.",
)

# %% [markdown]
# ## By area

# %%
show(
    plot_skill_by_area({name: scores[name].per_neuron for name in models if name != "mean"}),
    "skill_by_area",
    "Skill of single cells over their context mean, by area.",
)

# %% tags=["nbval-check-output"]
print(describe(scores[board["model"][0]]))
