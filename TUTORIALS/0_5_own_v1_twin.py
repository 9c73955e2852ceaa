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
# # Your own recording as a digital twin
#
# From a dictionary of arrays to a twin of your cells, scored on trials it never saw. Set
# `recording` to an `.npz` or `.h5` file with the arrays below.
#
# Without one this page takes two minutes of the **simulated** V1 recordings, so that you see what
# to expect. Simulated data show that code works; they are no evidence about brains.

# %% tags=["parameters"]
recording = ""
held_out_types = ["fixrsvp", "stabilised"]
trained = ""
experiment = "v1_twin/training/tiny"
overrides = []
run_dir = ""
seed = 0

# %%
import matplotlib.pyplot as plt
import numpy as np

from utils.batch import RunFolder
from utils.config import load_config
from utils.datasets.v1 import V1DataModule, as_recording, describe_recordings, write_recording
from utils.evaluation import evaluate_twin
from utils.models.v1_twin import TwinExperiment, apply, fit_twin, load_model, transfer
from utils.paths import data_dir
from utils.plots import mark_simulated, use_style
from utils.plots.v1_stimuli import plot_frames
from utils.simulation import simulate_v1

use_style()
run = RunFolder(run_dir)
config = load_config(experiment, [f"trainer.seed={seed}", *overrides], TwinExperiment)

# %% [markdown]
# ## Arrays on one clock
#
# | array | shape | what |
# |---|---|---|
# | `stim` | (T, H, W) uint8 | the frame on the retina; row 0 is up |
# | `robs` | (T, N) | spikes per bin, or calcium |
# | `trial_inds` | (T,) | number of the trial |
# | `eyepos` | (T, 2), optional | gaze in deg, right and up; NaN where lost |
# | `valid` | (T,), (T, 1) or (T, N), optional | False where a response must not be used |
# | `stim_type`, `psth_inds` | (T,), optional | kind of stimulus; place in a repeated movie |
# | `sf`, `ori`, `phase` | (T,), optional | of gratings, for their tuning |
#
# and the numbers `rate_hz` and `px_per_deg`, the names `name` and `stim_types`. Frames at 240 Hz
# are reduced by `to_rate`. What is missing or does not fit is named:

# %%
if not recording:
    one = simulate_v1(n_sessions=1, n_cells=6, minutes=2.0, seed=7).sessions[0]
    recording = data_dir() / "v1" / "own_example.h5"
    write_recording(recording, one.arrays, one.metadata | {"name": "own_example"})
own = as_recording(recording)
simulated = own.metadata["simulated"]


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, simulated), name, caption)
    plt.show()


own

# %%
try:
    as_recording({"robs": own.robs, "trial_inds": own.trial_inds[:-5], "rate_hz": 120.0})
except ValueError as error:
    print(error)

# %%
trial = slice(*own.trials[0])
show(
    plot_frames(
        own.stim[trial],
        own.t_bins[trial],
        own.eyepos[trial],
        own.metadata["px_per_deg"],
        f"{own.trial_types[0]}, the first trial",
    ),
    "frames",
    "Frames around the centre of gaze, and where the eyes look.",
)

# %% [markdown]
# ## A data set
#
# Its configuration says which cells and types of stimuli count, how many frames a prediction looks
# back, and what of behaviour the twin sees: here movements and position of the eyes in 42 columns.
# `held_out_types` are never learnt from: repeated movies, of which the twin must not have seen a
# repeat. For several recordings put all this into a YAML file, see
# `experiments/v1_twin/data/simulated.yaml`.

# %%
configs = describe_recordings([recording], held_out_types=held_out_types)
sets = V1DataModule(configs, **config.loading)
configs[0]

# %% [markdown]
# ## Train
#
# Cells of one recording, from scratch. With `trained`, the folder of a twin of many recordings, its
# core stays as it is, and only where your cells look and what they read is learnt: that needs much
# less data.

# %%
twin = transfer(load_model(trained), configs) if trained else config.build_model(configs)
result = fit_twin(twin, sets, config, folder=run.folder / "training" if run.folder else None)
result.curves.round(4)

# %% [markdown]
# ## Score
#
# Two minutes are little for a twin from scratch; bits per spike stand beside those of behaviour
# alone, of a linear-nonlinear model of each cell, and in simulations of the truth (`oracle`).

# %%
evaluation = evaluate_twin(twin, sets)
run.save_table(evaluation.summary().reset_index(), "summary", "Bits per spike, test trials.")
run.save_metrics(evaluation.summary()["median"].dropna().to_dict())
evaluation.summary().round(3)

# %% tags=["nbval-check-output"]
print(f"n = {len(evaluation.cells)} cells, simulated: {simulated}")

# %%
for name, figure in evaluation.figures().items():
    run.save_figure(mark_simulated(figure, simulated), name.replace(" ", "_"), f"Twin: {name}.")
plt.show()

# %% [markdown]
# ## Keep and use it
#
# The folder holds weights, settings, the cells and the statistics of behaviour. `apply` predicts
# responses to frames that were never shown, here to a grey screen and to white noise.

# %%
folder = twin.save((run.folder or data_dir() / "v1") / "own_twin")
again = load_model(folder)
still = np.zeros((240, configs[0].behavior_dims), np.float32)
noise = np.random.default_rng(seed).integers(0, 256, (240, *configs[0].grid), dtype=np.uint8)
grey = np.full_like(noise, 127)
rates = [apply(again, configs[0].name, frames, still)[60:].mean() for frames in (grey, noise)]
print(
    "mean rate (Hz): grey {:.1f}, noise {:.1f}".format(
        *(own.metadata["rate_hz"] * r for r in rates)
    )
)
