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
# # ELM neurons in a session
#
# An expressive leaky memory (ELM) neuron is a small recurrent model with a dendrite: synapses,
# branches, and memory units of many time constants. Here it meets a recording in two ways.
#
# - **One neuron for the population**: it watches all cells and corrects the linear forecast of what
#   they do in the next seconds, beside the other forecasters.
# - **One neuron per cell**: the synapses of a cell are the past of the other cells, on a branch for
#   each area, and of behaviour; from them, and its own past, it says what the cell does in the next
#   frame. A branch can be cut, so the fitted dendrite says where a cell's activity comes from.

# %% tags=["parameters"]
session = "small"
experiment = "forecasting"
overrides = []
n_cells = 8
context = 64
branches_by = "auto"
rate = None
run_dir = ""
seed = 0

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

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
from utils.evaluation.cells import score_cells
from utils.load_meso_session import open_session
from utils.models.elm.cell_anatomy import branch_weights, cell_anatomy
from utils.models.elm.cells import CellNeurons
from utils.models.forecasting import ForecastingConfig, configured
from utils.models.forecasting.simple import train_moments, train_pieces
from utils.plots import mark_simulated, use_style
from utils.plots.cells import plot_cell_anatomy, plot_cell_forecasts, plot_cell_scores
from utils.plots.elm import plot_states
from utils.plots.forecasting import plot_leaderboard, plot_skill_by_horizon
from utils.preprocessing import preprocess
from utils.simulation.truth import load_truth
from utils.windows import load_windows

use_style()
run = RunFolder(run_dir)
config = load_config(experiment, ["model=elm", *overrides], ForecastingConfig)
recording = open_session(session, rate=rate)
session_file = preprocess(recording, progress=False)
data = load_windows(session_file, config.windows.context, config.windows.horizon)
simulated = data.source == "simulated"


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, simulated), name, caption)
    plt.show()


data

# %% [markdown]
# ## One neuron for the population
#
# It hears the slow components of the population and behaviour, frame by frame, and its memory after
# the last frame says how the components go on. `model.skip=population` (the default) lets it
# correct the population ridge: what it gains is what a linear model cannot see.

# %%
forecaster = configured(config, seed=seed).fit(data)
if run.folder:
    forecaster.save(run.folder / "model")
n_parameters = sum(p.numel() for p in forecaster.network.parameters())
print(f"{n_parameters:,} parameters, best epoch {forecaster.training.best_epoch + 1}")

# %%
oracle = open_oracle(recording, data)
models = [forecaster, *(fitted_baseline(n, data) for n in ("mean", "ar16", "population_ridge"))]
scores = {one.name: score_forecasts(one, data, oracle=oracle, seed=seed) for one in models}
board = leaderboard(scores.values())
run.save_table(board, "leaderboard", f"ELM and baselines, {data.n_neurons} cells ({data.source}).")
run.save_metrics({row["model"]: row.dropna().to_dict() for _, row in board.iterrows()})
columns = ["model", "mse", "r2", "auprc"]
columns += [f"over_{name}_skill" for name in ("mean", "ar16", "population_ridge")]
board[[*columns, *board.columns.intersection(["of_oracle"]), "verdict"]].round(4)

# %% tags=["nbval-check-output"]
print(f"{data.source} data, {data.n_neurons} cells, n = {len(data.test)} test windows")
print(f"AR16: skill over the mean {scores['ar16'].summary()['over_mean_skill']:+.3f}")

# %%
print("over population_ridge:", compare(scores["elm"], scores["population_ridge"]))
print(describe(scores["elm"]))

# %%
show(
    plot_leaderboard(board),
    "forecasters",
    f"Skill over three references, all frames ahead together; {data.n_neurons} cells.",
)

# %%
frames = pd.concat([one.to_frame() for one in scores.values()], ignore_index=True)
run.save_table(frames, "scores", "One row per model, frame ahead and baseline.")
show(
    plot_skill_by_horizon(frames[frames["model"] != "mean"], ["mean", "ar16"]),
    "skill_by_horizon",
    "Skill by time ahead over the context mean and over AR16.",
)

# %% [markdown]
# ## One neuron per cell
#
# The cells with the most events (frames above their mean by two deviations) in the training block.
# Each is fitted twice: hearing its own past (`elm_cell`), and deaf to it (`elm_deaf`). Cells share
# no weights, and each keeps its best epoch.

# %%
data = load_windows(session_file, context, 1)
mean, deviation = train_moments(data)
threshold = mean + 2 * deviation
events = sum((piece > threshold).sum(dim=0) for piece in train_pieces(data, data.activity))
cells = events.argsort(descending=True, stable=True)[:n_cells].sort().values.tolist()
settings = {"branches_by": branches_by, "trainer": {"seed": seed}}
neurons = {
    "elm_cell": CellNeurons(cells, **settings),
    "elm_deaf": CellNeurons(cells, own=False, **settings),
}
for name, fitted in neurons.items():
    fitted.fit(data)
    if run.folder:
        fitted.save(run.folder / "cells" / name)
whole, deaf = neurons.values()
pd.Series([branch.name for branch in whole.branches[0]]).value_counts(sort=False).to_frame(
    "branches"
)

# %% [markdown]
# ## Score
#
# The next frame of the test block, activity and events, beside the last value, an autoregression
# (AR16), one over the whole context, and the population ridge with behaviour, which hears what the
# neuron hears. Floors have no probability of events; their forecast of the activity ranks the
# frames.
#
# On the simulated sessions the neurons win, and the dendrite says why: nearly all comes from what
# the cell itself did, read as no linear map reads it. The other cells add next to nothing, which a
# linear model of them said as well.

# %%
scores = score_cells(neurons, data, seed=seed)
run.save_table(scores.by_cell, "cells", f"Next frame, {len(cells)} cells, test ({data.source}).")
table = scores.by_cell.pivot(index="cell", columns="model", values=["r2", "auprc", "auc"])
table.reindex(columns=["elm_cell", "ar16", "population_ridge", "elm_deaf"], level=1).round(3)

# %%
run.save_table(scores.overall, "cells_overall", f"{len(cells)} ELM neurons over each floor.")
run.save_metrics({"cells": scores.overall.to_dict("records")})
scores.overall.set_index(["model", "floor"]).round(4)

# %%
row = scores.overall.set_index(["model", "floor"]).loc[("elm_cell", "population_ridge")]
better = "better than" if row["skill_low"] > 0 else "not shown to be better than"
print(f"{len(cells)} cells as ELM neurons are {better} the population ridge:")
print(f"skill {row['skill']:+.4f} [{row['skill_low']:+.4f}, {row['skill_high']:+.4f}]")

# %%
show(
    plot_cell_scores(scores.by_cell[scores.by_cell["model"] != "elm_deaf"]),
    "cells",
    f"R2 with 95 % intervals, and events, of the next frame: {len(cells)} cells, test block.",
)

# %%
forecast = whole.forecast(data.test)
r2 = scores.by_cell[scores.by_cell["model"] == "elm_cell"]["r2"].to_numpy()
best = np.argsort(-r2)[:4]
stretch = slice(0, round(120 * data.frame_rate))
frames = forecast.frames[stretch]
show(
    plot_cell_forecasts(
        data.timestamps[frames],
        data.activity[frames][:, cells][:, best].numpy(),
        forecast.activity[stretch][:, best],
        forecast.probability[stretch][:, best],
        threshold[cells][best].numpy(),
        [cells[place] for place in best],
        data.unit,
    ),
    "cell_forecasts",
    "Two minutes of the test block: what was said one frame before.",
)

# %% [markdown]
# ## Inside a neuron
#
# Branches (first those of the areas, then behaviour, then its own past with four time constants)
# and memory units of the first of these cells, over the same minutes.

# %%
neuron = whole.neurons[best[0]]
first = int(frames[0])
heard = whole.network_for(data).inputs_of(data, first, first + len(frames))
with torch.no_grad():
    trace = neuron.run(heard)
show(
    plot_states(
        np.arange(len(frames)) / data.frame_rate,
        trace.branch[0].cpu().numpy(),
        trace.memory[0].cpu().numpy(),
        neuron.tau_m.cpu().numpy() / data.frame_rate,
        unit="s",
    ),
    "states",
    f"Branches and memory of the ELM neuron of cell {cells[best[0]]}.",
)

# %% [markdown]
# ## Where it comes from
#
# The inputs from one area are taken from another time; what gets worse by that (R2 of the next
# frame) is what the cells had from there. A cell that hears its own past hardly needs the others;
# to a deaf one, they have to tell. Inputs of another time mislead as much as the right ones help,
# so a loss may exceed 1. Measured on the test block: the validation block chose the epochs.

# %%
anatomy = pd.concat(
    {name: cell_anatomy(fitted, data.test) for name, fitted in neurons.items()},
    names=["model"],
).reset_index("model")
run.save_table(anatomy, "anatomy", "Loss of R2 of each cell without each of its inputs.")
run.save_table(branch_weights(deaf), "weights", "Summed synaptic weights by branch, own past out.")
for name in neurons:
    show(
        plot_cell_anatomy(anatomy[anatomy["model"] == name]),
        f"anatomy_{name}",
        f"Loss of R2 when inputs come from another time; {name}; test block.",
    )

# %% [markdown]
# ## Is that where it comes from?
#
# In a simulated session the truth is known. A cell follows hidden fluctuations of its own area,
# which in turn hear those of two other areas. Deaf neurons should lose most without their own area,
# then without the areas that drive it, and nothing without the rest. Mean and standard error over
# pairs of a cell and an area:

# %%
if simulated:
    truth = load_truth(recording.session_path)
    areas = truth["area_names"].tolist()
    coupling = pd.DataFrame(truth["area_coupling"] != 0, areas, areas)  # (to, from)
    heard = anatomy[(anatomy["model"] == "elm_deaf") & anatomy["branch"].isin(areas)]
    heard = heard.assign(
        source=[
            "own area" if to == of else "drives it" if coupling.loc[to, of] else "neither"
            for to, of in zip(heard["region"], heard["branch"])
        ]
    )
    known = heard.groupby("source")["r2_loss"].agg(["mean", "sem", "count"])
    run.save_table(known, "anatomy_truth", "Loss of R2 by what is true in the simulation.")
    print(known.round(4).to_string())
