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
# # Informer
#
# A transformer that reads the whole population frame by frame and forecasts all frames ahead in
# one pass. With `model.skip=linear` (the default) it corrects the linear forecast of each cell,
# so it has to find what a linear map of single cells cannot: what cells tell about each other.
#
# The default here trains for a moment only (`trainer=quick`); give `overrides = []` for the real
# thing, and for example `["model.d_model=128", "model.skip=none", "model.head=student_t"]`.

# %% tags=["parameters"]
session = "small"
experiment = "forecasting"
overrides = ["trainer=quick"]
rate = None
run_dir = ""
seed = 0
skips = ["none"]

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
from utils.load_meso_session import open_session
from utils.models.forecasting import ForecastingConfig, configured
from utils.plots import mark_simulated, use_style
from utils.plots.forecasting import (
    plot_cells_against,
    plot_example_forecasts,
    plot_learning_curves,
    plot_skill_by_horizon,
)
from utils.preprocessing import preprocess
from utils.training import past_covariates
from utils.windows import load_windows

use_style()
run = RunFolder(run_dir)
config = load_config(experiment, overrides, ForecastingConfig)
recording = open_session(session, rate=rate)
session_file = preprocess(recording, progress=False)
data = load_windows(session_file, config.windows.context, config.windows.horizon)


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, data.source == "simulated"), name, caption)
    plt.show()


data

# %% [markdown]
# ## Train
#
# The weights of the epoch with the best validation loss are kept, and training stops when it no
# longer improves. In a run, checkpoints and logs lie in `training/`, the model in `model/`.

# %%
forecaster = configured(config, seed=seed)
name = forecaster.name
forecaster.fit(data, folder=run.folder / "training" if run.folder else None)
if run.folder:
    forecaster.save(run.folder / "model")
training = forecaster.training
show(
    plot_learning_curves(training.curves, training.best_epoch),
    "learning_curves",
    f"Loss by epoch; the weights of epoch {training.best_epoch + 1} are kept.",
)

# %%
n_parameters = sum(p.numel() for p in forecaster.network.parameters())
print(f"{n_parameters:,} parameters, {training.steps} steps on {training.device}")

# %% [markdown]
# ## Score
#
# On the test block, beside the baselines that cost nothing.

# %%
oracle = open_oracle(recording, data)
scores = score_forecasts(forecaster, data, oracle=oracle, seed=seed)
rivals = [
    score_forecasts(fitted_baseline(name, data), data, oracle=oracle, seed=seed)
    for name in ("ar16", "linear", "population_ridge")
]
frames = pd.concat([result.to_frame() for result in (scores, *rivals)], ignore_index=True)
run.save_table(frames, "scores", "One row per model, frame ahead and baseline.")
run.save_table(leaderboard([scores, *rivals]), "models", f"{name} beside linear models.")
run.save_metrics({**scores.summary(), "seconds": training.seconds, "epochs": training.epochs})
show(
    plot_skill_by_horizon(frames),
    "skill_by_horizon",
    f"Skill of {name} and of linear models by time ahead.",
)

# %% tags=["nbval-check-output"]
print(f"{data.source} data, {data.n_neurons} cells, n = {len(data.test)} test windows")
print(f"{name}: MSE {scores.summary()['mse']:.3f}")

# %%
print(describe(scores))

# %% [markdown]
# ## Does it use the population?
#
# The Informer sees the vector of all cells, and may or may not use what the others say. Here each
# cell is forecast from windows in which all *other* cells come from another time (shifted by half
# the test block): what gets worse by that is what it had taken from the population. The skip
# forecast, here that of each cell by itself, does not change.

# %%
cells = np.argsort(-data.activity[data.split == 0].nan_to_num(0.0).std(dim=0).numpy())[:12]
some = torch.arange(0, len(data.test), max(len(data.test) // 400, 1))
windows, elsewhere = (
    data.test.batch((some + shift) % len(data.test)) for shift in (0, len(data.test) // 2)
)
loss = {"own time": [], "others shifted": []}
for cell in cells:
    shifted = elsewhere.past.clone()
    shifted[:, :, cell] = windows.past[:, :, cell]
    for label, past in (("own time", windows.past), ("others shifted", shifted)):
        forecast = forecaster.predict(past, past_covariates(windows), windows.past_mask)
        loss[label].append(float((forecast - windows.future)[:, :, cell].square().mean()))
changes = pd.DataFrame(loss, index=pd.Index(cells, name="cell"))
changes["gain from the population"] = 1 - changes["own time"] / changes["others shifted"]
run.save_table(changes, "population", "MSE of the most active cells with the others shifted.")
print(f"median over {len(cells)} cells: {changes['gain from the population'].median():+.4f}")
changes.round(4).T

# %% [markdown]
# ## What it corrects, and by how much
#
# The same network on other simple forecasts, trained as long as this one was set to: alone
# (`skip=none`) a transformer has to learn what a linear map gets in closed form.

# %%
skipped = {forecaster.config.skip: scores}
for skip in skips:
    extra = load_config(experiment, [*overrides, f"model.skip={skip}"], ForecastingConfig)
    other = configured(extra, seed=seed, progress=False).fit(data)
    skipped[skip] = score_forecasts(other, data, oracle=oracle, seed=seed)
table = pd.DataFrame({f"{name}, skip={skip}": one.summary() for skip, one in skipped.items()}).T
about = ["mse", "r2", "over_mean_skill", "over_ar16_skill", "over_population_ridge_skill"]
run.save_table(table, "skips", f"{name} on different simple forecasts, test block.")
print(f"{name} over population_ridge: {compare(scores, rivals[-1])}")
table[about].infer_objects().round(4)

# %% [markdown]
# ## Cell by cell
#
# Each dot is a cell. A model that learnt something of the population lifts cells above the line.

# %%
show(
    plot_cells_against(scores.per_neuron, rivals[0].per_neuron, (name, "ar16")),
    "cells",
    f"R2 (about the train mean) of each cell: {name} against AR16.",
)

# %% [markdown]
# ## Examples

# %%
first = int(data.test.starts[0])
origins = np.arange(data.context, 5 * data.context, 2 * data.horizon)
windows = data.test.batch(origins - data.context)
stretch = slice(first, first + 5 * data.context + data.horizon)
activity = data.activity[stretch].numpy()
cells = np.argsort(-np.nan_to_num(np.nanstd(activity, axis=0)))[:5]
models = {"ar16": fitted_baseline("ar16", data), name: forecaster}
examples = {
    label: model.predict(windows.past, past_covariates(windows), windows.past_mask).numpy()
    for label, model in models.items()
}
show(
    plot_example_forecasts(data.timestamps[stretch], activity, origins, examples, cells, data.unit),
    "examples",
    "Recorded activity of five cells, and forecasts from the dotted moments on.",
)
