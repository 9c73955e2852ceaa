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
# # Normalise and bin
#
# One scale for bright and dim cells, one clock for all fields of view, and covariates beside the
# activity, all without a glance at what comes later.

# %% tags=["parameters"]
session = "small"
experiment = "preprocessing/default"
overrides = []
rate = None
run_dir = ""
seed = 0

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from utils.batch import RunFolder
from utils.load_meso_session import open_session
from utils.plots.preprocessing import plot_covariates, plot_scaling
from utils.plots.style import mark_simulated, use_style
from utils.preprocessing import preprocess, resolve_config
from utils.preprocessing.scaling import fit_scaler
from utils.sessions.hdf5 import SessionFile
from utils.splits import TEST, TRAIN

use_style()
run = RunFolder(run_dir)
config = resolve_config(experiment, overrides)
recording = open_session(session, rate=rate)
file = SessionFile(preprocess(recording, config, progress=False))
file

# %% [markdown]
# ## 1. Scaling: the training block sets the marks
#
# Each neuron is shifted and scaled by statistics of the training block. In that block the marks
# are met exactly; in the test block they are not, and must not be: a test block that fits its
# marks has been looked at.

# %%
labels = file.split
shown = np.random.default_rng(seed).permutation(file.n_neurons)[:500]
scaled = np.asarray(file.activity[:, shown])
offset, scale = file.scaler["offset"][shown], file.scaler["scale"][shown]
unscaled = scaled * scale + offset
figure = plot_scaling(unscaled, scaled, labels)
mark_simulated(figure, file.simulated)
run.save_figure(figure, "scaling", "Median and 99.5th percentile per neuron, before and after.")
plt.show()

# %% [markdown]
# How much would it have mattered? The scale that each method finds on the training block against
# the one it would have found on the whole task: the difference is what a leak lets through.

# %% tags=["nbval-check-output"]
train, everything = unscaled[labels == TRAIN], unscaled[(labels >= TRAIN) & (labels <= TEST)]
rows = []
for method in ("percentile", "zscore", "robust"):
    settings = config.scaling.model_copy(update={"method": method})
    honest, leaky = fit_scaler(train, settings)[1], fit_scaler(everything, settings)[1]
    rows.append((method, np.median(honest), np.median(np.abs(leaky / honest - 1))))
scalers = pd.DataFrame(rows, columns=["method", "median scale (dF/F)", "change if leaky"])
run.save_table(scalers, "scalers", "Scale on the training block, and its change if it saw all.")
print(scalers.round(3).to_string(index=False))

# %% [markdown]
# ## 2. One clock, and what it costs
#
# Every ROI is sampled when the laser passes its scan line. Linear interpolation brings all of
# them to the same times; it mixes two neighbouring samples, so neighbouring frames share some
# noise and are easier to forecast from each other. Taking the last sample instead (`previous`)
# keeps the noise apart, with a time error of up to a frame. Every baseline model sees the same
# data, so skills stay comparable; the numbers below say how large the effect is.
#
# Bins of several frames trade time resolution for less noise. Causal smoothing does so too, and
# correlates neighbouring frames most of all. Acausal smoothing is not offered.

# %%
variants = {
    "linear": [],
    "previous sample": ["resampling=previous"],
    "bins of 2 frames": ["bin_frames=2", "split.max_window_frames=32"],
    "smoothed, 0.5 s": ["smoothing_s=0.5"],
}
rows = []
for name, change in variants.items():
    variant = SessionFile(preprocess(recording, experiment, [*overrides, *change], progress=False))
    values = np.asarray(variant.activity)[(variant.split == TRAIN) & variant.frame_mask]
    values = values - np.nanmean(values, axis=0)
    lag1 = np.nanmean(values[1:] * values[:-1], axis=0) / np.nanmean(values**2, axis=0)
    noise = variant.quality["noise_level"].median()
    rows.append((name, variant.frame_rate, noise, np.median(lag1)))
timing = pd.DataFrame(rows, columns=["variant", "rate (Hz)", "noise (%/sqrt Hz)", "lag-1 corr."])
run.save_table(timing, "timing", "Noise and lag-1 correlation by resampling, binning, smoothing.")

# %% tags=["nbval-check-output"]
print(timing.round(2).to_string(index=False))

# %% [markdown]
# ## 3. Covariates
#
# The wheel, the stimulus on the screen, the phase of the trial, and where recorded pupil, motion
# energy and licks. Each value is known at the time of its frame: signals are averaged over the
# frame that ends there, and the phase of a trial is a state, not a fraction of its length.

# %%
start = file.trials["stimOn_times"].iloc[20] - 5 if len(file.trials) > 20 else file.timestamps[0]
stretch = (start, start + 60)
figure = plot_covariates(file.timestamps, file.covariates, file.covariate_names, stretch)
mark_simulated(figure, file.simulated)
run.save_figure(figure, "covariates", "Covariates over one minute.")
plt.show()

# %% tags=["nbval-check-output"]
notes = file.excluded[file.excluded["kind"] == "covariate"]
print(f"{len(file.covariate_names)} covariates: {', '.join(file.covariate_names)}")
print(notes[["item", "reason", "count"]].to_string(index=False) if len(notes) else "none missing")
run.save_metrics(
    {
        "covariates": len(file.covariate_names),
        "lag1_linear": float(timing["lag-1 corr."][0]),
        "lag1_previous": float(timing["lag-1 corr."][1]),
        "scale_change_if_leaky": float(scalers["change if leaky"][0]),
    }
)
