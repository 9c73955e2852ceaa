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

# %% [markdown]
# # A digital twin of visual cortex
#
# A twin predicts what V1 cells do from the frames on the retina and from how the eyes move: a core
# that all recordings share turns frames into features, and each cell reads them at one place. Here
# a small one learns from **simulated** recordings, whose true rates are known: how much of what can
# be predicted does it predict?
#
# `data` is the name or the file of your own data sets (see `3_MODELLING/experiments/v1_twin/data/`
# and the tutorial 0_5); without it recordings of free viewing, noise, gratings and repeated movies
# are simulated: three sessions of 20 minutes with `v1_twin/training/small` are its full size.

# %% tags=["parameters"]
data = ""
n_sessions = 1
n_cells = 6
minutes = 2.0
experiment = "v1_twin/training/tiny"
overrides = []
run_dir = ""
seed = 0

# %%
import matplotlib.pyplot as plt
import numpy as np

from utils.batch import RunFolder
from utils.config import load_config
from utils.datasets.v1 import V1DataModule, describe_recordings, load_dataset_configs, simulated_v1
from utils.evaluation import evaluate_twin
from utils.evaluation.v1_twin import find_truth
from utils.models.v1_twin import TwinExperiment, fit_twin
from utils.plots import mark_simulated, use_style
from utils.plots.v1_responses import plot_rates
from utils.plots.v1_stimuli import plot_frames

use_style()
run = RunFolder(run_dir)
config = load_config(experiment, [f"trainer.seed={seed}", *overrides], TwinExperiment)
if data:
    configs = load_dataset_configs(data)
else:
    files = simulated_v1(n_sessions=n_sessions, n_cells=n_cells, minutes=minutes, seed=seed)
    configs = describe_recordings(files, held_out_types=["fixrsvp", "stabilised"])
sets = V1DataModule(configs, **config.loading)
simulated = any(part.recording.metadata["simulated"] for part in sets.datasets.values())


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, simulated), name, caption)
    plt.show()


[part.recording for part in sets.datasets.values()]

# %% [markdown]
# ## What is shown
#
# Frames are what falls on a fixed patch of the retina, 120 per second: when the eyes jump, so does
# the frame. Trials of each type of stimulus are split into training, validation and test; nothing
# is fitted to the last two.

# %%
first = next(iter(sets.datasets.values()))
recording = first.recording
free = np.flatnonzero(recording.stim_type == 0)[:240]
show(
    plot_frames(
        recording.stim[free],
        recording.t_bins[free],
        recording.eyepos[free],
        recording.metadata["px_per_deg"],
        f"{recording.metadata['stim_types'][0]}, two seconds",
    ),
    "frames",
    "Frames around the centre of gaze, and where the eyes look.",
)

# %% [markdown]
# ## Train
#
# Readouts start where counts and features of the fresh core go together; then all is trained to the
# Poisson likelihood of the counts. One pass predicts all bins of a sequence, and computes each
# frame once.

# %%
twin = config.build_model(configs)
result = fit_twin(twin, sets, config, folder=run.folder / "training" if run.folder else None)
if run.folder:
    twin.save(run.folder / "model")
print(f"{sum(p.numel() for p in twin.core.parameters()):,} parameters in the core")
result.curves.round(4)

# %% [markdown]
# ## How much of what can be predicted?
#
# Bits per spike say how much better than its mean rate a cell is predicted, on test trials. The
# truth of the simulation scores most (`oracle`); the floors are a linear-nonlinear model of each
# cell, and behaviour alone.

# %%
evaluation = evaluate_twin(twin, sets)
summary = evaluation.summary()
run.save_table(summary.reset_index(), "summary", "Bits per spike over cells, test trials.")
run.save_table(evaluation.cells.reset_index(), "cells", "Quality and scores of each cell.")
run.save_metrics(summary["median"].dropna().to_dict())
summary.round(3)

# %% tags=["nbval-check-output"]
print(f"{len(sets.datasets)} recordings, n = {len(evaluation.cells)} cells, simulated: {simulated}")

# %% [markdown]
# Scores cell by cell, quality of the cells, receptive fields of the twin against the true ones, and
# what saccades do to rates: in the data, in the twin, and in the twin that is fed the behaviour of
# another moment.

# %%
for name, figure in evaluation.figures().items():
    run.save_figure(mark_simulated(figure, simulated), name.replace(" ", "_"), f"Twin: {name}.")
plt.show()

# %% [markdown]
# ## Spikes and rates
#
# The best cells in some seconds of a test trial.

# %%
name = first.config.name
rates, truth = evaluation.rates[name], find_truth(first)
best = np.argsort(-evaluation.cells.loc[name, "bits_per_spike"].to_numpy())[:4]
predicted = np.flatnonzero(np.isfinite(rates).all(axis=1) & (recording.stim_type == 0))[:480]
drawn = {"twin": rates[predicted][:, best]}
if truth is not None:
    drawn = {"truth": truth.rates[predicted][:, best], **drawn}
show(
    plot_rates(
        recording.t_bins[predicted],
        recording.robs[predicted][:, best],
        drawn,
        recording.metadata["rate_hz"],
        [f"cell {evaluation.cells.loc[name].index[place]}" for place in best],
    ),
    "rates",
    "Spikes of the four best cells, and their rates: true where known, and of the twin.",
)
