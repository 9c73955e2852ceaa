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
# # How good could a forecast be?
#
# On real data nobody knows. Here the population is **simulated**: a few hidden fluctuations drive
# the calcium of all neurons beside each neuron's own events, and white noise hides it. So the best
# possible forecast can be computed, and every score read as a part of the way from the context
# mean to it.
#
# - **oracle**: knows the hidden fluctuations and the calcium at the last context frame, exactly.
# - **filter**: knows how the world works, and has seen the noisy past only (Kalman filter). What is
#   between it and a model can still be learnt; what is between it and the oracle cannot.
#
# The defaults are small. The table of the README is
#
# ```
# python -m utils.batch run 3_3_known_truth -p n_neurons 300 n_frames 12000 world_seed 2 \
#     overrides "[]" seeds "[0, 1, 2]" \
#     models "{informer: [], tsmixer: [], population_network: [model.skip=none]}"
# ```

# %% tags=["parameters"]
experiment = "forecasting"
overrides = ["trainer=quick"]
models = {"tsmixer": [], "population_network": ["model.skip=none"]}
seeds = [0]
n_neurons = 60
n_frames = 6000
context = 48
horizon = 24
world_seed = 0
run_dir = ""

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd

from utils.batch import RunFolder
from utils.config import load_config
from utils.evaluation import (
    average_seeds,
    compare,
    describe,
    fitted_baseline,
    leaderboard,
    score_forecasts,
    score_oracle,
)
from utils.evaluation.oracle import calcium_oracle, kalman_oracle
from utils.models.forecasting import ForecastingConfig, build_forecaster, configured
from utils.plots import mark_simulated, use_style
from utils.plots.forecasting import plot_leaderboard, plot_oracle_fraction
from utils.simulation import simulate_calcium_population
from utils.windows import window_data

use_style()
run = RunFolder(run_dir)
configs = {
    name: load_config(experiment, [*overrides, f"model={name}", *own], ForecastingConfig)
    for name, own in models.items()
}
world = simulate_calcium_population(n_neurons, n_frames, seed=world_seed)
data = window_data(
    world.activity,
    world.timestamps,
    context,
    horizon,
    fractions=(0.6, 0.1, 0.3),
    source="simulated",
    unit="a.u.",
)


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure), name, caption)
    plt.show()


data

# %% [markdown]
# ## Fit and score
#
# Statistics, ridge strengths and stopping come from training and validation windows; the scores
# are those of the test block, with intervals where it holds ten minutes or more.

# %%
oracle = calcium_oracle(world, data)
linear = ["persistence", "mean", "train_mean", "exponential", "linear", "ar16", "var"]
linear += ["population_ridge"]
scores = {
    name: score_forecasts(fitted_baseline(name, data), data, oracle=oracle, seed=0)
    for name in linear
}
low_rank = build_forecaster("population_ridge", rank=[4, 8, 16, 32]).fit(data)
scores["low_rank"] = score_forecasts(low_rank, data, oracle=oracle, seed=0)
scores["low_rank"] = replace(scores["low_rank"], model="low_rank_ridge")
scores["filter"] = score_oracle(kalman_oracle(world, data), "filter", data, oracle=oracle)
trained = {
    name: [configured(config, seed=seed, progress=False).fit(data) for seed in seeds]
    for name, config in configs.items()
}
for name, fits in trained.items():
    scores[name] = average_seeds([score_forecasts(f, data, oracle=oracle, seed=0) for f in fits])
board = leaderboard(scores.values())
columns = ["model", "n_seeds", "mse", "mse_sd", "r2", "of_oracle", "of_oracle_low"]
columns += ["of_oracle_high", "over_mean_skill", "over_ar16_skill", "over_population_ridge_skill"]
run.save_table(board, "leaderboard", "Forecasters in a simulated world; of_oracle: see the text.")
run.save_metrics({row["model"]: row.dropna().to_dict() for _, row in board.iterrows()})
board[columns].round(4)

# %% tags=["nbval-check-output"]
print(f"simulated, {data.n_neurons} neurons, n = {len(data.test)} test windows")
print("best without training:", min(linear, key=lambda name: scores[name].summary()["mse"]))

# %%
show(
    plot_leaderboard(board, ["mean", "ar16", "population_ridge"]),
    "leaderboard",
    f"Skill over three references, all frames ahead together; {data.n_neurons} neurons, simulated.",
)

# %% [markdown]
# ## By time ahead, as a part of what is possible

# %%
frames = pd.concat([result.to_frame() for result in scores.values()], ignore_index=True)
run.save_table(frames, "scores", "One row per model, frame ahead and baseline.")
show(
    plot_oracle_fraction(frames[~frames["model"].isin(["persistence", "mean"])]),
    "of_oracle",
    "0 is the context mean, 1 the forecast that knows the hidden state.",
)

# %% [markdown]
# ## Does the network beat the best linear forecast?
#
# Paired: the same windows, minutes and neurons are drawn for both.

# %%
for name in configs:
    print(f"{name} over population_ridge:", compare(scores[name], scores["population_ridge"]))
    print(describe(scores[name]))
