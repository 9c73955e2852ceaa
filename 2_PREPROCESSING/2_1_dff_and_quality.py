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
# # dF/F and quality
#
# From detector units to relative change of fluorescence, without dividing by almost nothing, and
# which frames and cells are good enough to be used.

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

from utils.batch import RunFolder
from utils.load_meso_session import open_session
from utils.plots.preprocessing import (
    plot_baselines,
    plot_dff_distributions,
    plot_excluded,
    plot_quality,
)
from utils.plots.style import mark_simulated, use_style
from utils.preprocessing import preprocess, resolve_config
from utils.sessions.hdf5 import SessionFile
from utils.signals import (
    baseline_floor,
    column_quantiles,
    correct_neuropil,
    delta_f_over_f,
    maximin_baseline,
    running_percentile_baseline,
)

use_style()
run = RunFolder(run_dir)
config = resolve_config(experiment, overrides)
recording = open_session(session, rate=rate)
recording

# %% [markdown]
# ## 1. Most of what a ROI measures is not its cell
#
# suite2p's `F` is the mean over the ROI, `Fneu` that over its surroundings, both in detector
# units. Out-of-focus neuropil enters the ROI with a weight of about 0.7, so the cell is what is
# left of `F` after `0.7 Fneu` is taken away. What is left is small, and its error is not: if the
# true weight is 0.8 in place of 0.7, the baseline is off by a tenth of `Fneu`.

# %% tags=["nbval-check-output"]
fov = recording.fovs[0]
cells, good, frame_rate = fov.cell_indices, fov.good_frame_mask, fov.frame_rate
raw = np.array(fov.roi_activity[:, cells], dtype=np.float32)  # (frame, cell)
neuropil = fov.neuropil_activity
neuropil = np.zeros_like(raw) if neuropil is None else np.array(neuropil[:, cells], np.float32)
corrected = correct_neuropil(raw, neuropil, config.neuropil_coefficient)

print(f"{fov.fov_name}: {len(cells)} cells, {good.sum()} good frames of {len(good)}")
cell = f"F - {config.neuropil_coefficient:g} Fneu"
for name, values in {"F": raw, "Fneu": neuropil, cell: corrected}.items():
    print(f"median {name}: {np.median(values[good]):.0f} detector units")

# %% [markdown]
# ## 2. A baseline that knows no future, and a floor below it
#
# The baseline of a frame is a percentile of the last minute of good frames. Nothing after the
# frame enters it, so dF/F may be fed to a forecast. The running maximin of suite2p follows the
# trace from both sides; it is shown for comparison and may be used for display only.
# The dotted line is the floor: the larger of the ROI's noise and a tenth of its neuropil.

# %%
causal = running_percentile_baseline(
    corrected,
    frame_rate,
    percentile=config.baseline.percentile,
    window_s=config.baseline.window_s,
    warmup_s=config.baseline.warmup_s,
    good=good,
)
acausal = maximin_baseline(corrected, frame_rate, good=good)
floor = baseline_floor(corrected, neuropil, good=good)
typical = column_quantiles(corrected[good], [config.baseline.percentile / 100])[0]
by_brightness = np.argsort(typical / floor)
shown = by_brightness[np.linspace(0, len(cells) - 1, 4).astype(int)]

shown_trace = np.where(good[:, None], corrected[:, shown], np.nan)
baselines = {"running percentile": causal[:, shown], "maximin": acausal[:, shown]}
names = [f"{fov.fov_name}, ROI {cells[k]}: F0 / floor = {typical[k] / floor[k]:.1f}" for k in shown]
figure = plot_baselines(fov.timestamps, shown_trace, baselines, names, floor[shown])
mark_simulated(figure, recording.is_simulated)
run.save_figure(figure, "baselines", "Neuropil-corrected F, its baselines and the floor of dF/F.")
plt.show()

# %% [markdown]
# ## 3. What the floor is for
#
# Dividing by a baseline that is floored at 1 detector unit is what makes dF/F explode: a cell
# whose corrected baseline happens to be near zero gets a dF/F of thousands. With the floor the
# trace of such a cell has the same shape and a sane unit.

# %% tags=["nbval-check-output"]
naive = (corrected - typical) / np.maximum(typical, 1)
dff = delta_f_over_f(
    corrected,
    frame_rate,
    good=good,
    method=config.baseline.method,
    percentile=config.baseline.percentile,
    window_s=config.baseline.window_s,
    warmup_s=config.baseline.warmup_s,
    floor=floor,
)
for name, values in {"floored at 1 unit": naive[good], "floored by noise": dff[good]}.items():
    low, high = np.nanmin(values), np.nanmax(values)
    print(f"{name}: dF/F from {low:.1f} to {high:.1f}")
print(f"denominator is the floor for {np.sum(typical < floor)} of {len(cells)} cells")
assert np.isfinite(dff[good]).mean() > 0.9

# %%
figure = plot_dff_distributions({"F0 floored at 1 unit": naive[good], "this project": dff[good]})
mark_simulated(figure, recording.is_simulated)
run.save_figure(figure, "dff_range", "Range of dF/F with and without a floor by noise.")
plt.show()

# %% [markdown]
# ## 4. Frames and cells that are left out
#
# `preprocess` does this for all fields of view and keeps a list of what it left out and why.
# Thresholds and noise are measured on the training block only.

# %%
file = SessionFile(preprocess(recording, config, progress=False))
figure = plot_excluded(file.excluded)
mark_simulated(figure, recording.is_simulated)
run.save_figure(figure, "excluded", "Frames, cells and covariate samples left out, by reason.")
run.save_table(file.excluded, "excluded", "What preprocessing left out, and why.")
plt.show()

# %%
figure = plot_quality(file.quality)
mark_simulated(figure, recording.is_simulated)
run.save_figure(figure, "quality", "Noise, signal to noise and denominator of the kept cells.")
plt.show()

# %% tags=["nbval-check-output"]
floored = int(file.neurons["flags"].str.contains("baseline floored").sum())
metrics = {
    "cells": int(recording.n_total_neurons),
    "cells_kept": int(file.n_neurons),
    "cells_floored": floored,
    "frames": int(file.n_frames),
    "frames_valid": int(file.frame_mask.sum()),
    "median_noise_level": float(file.quality["noise_level"].median()),
    "median_snr": float(file.quality["snr"].median()),
    "dff_lowest": float(np.nanmin(dff[good])),
    "dff_highest": float(np.nanmax(dff[good])),
}
run.save_metrics(metrics)
print(
    f"kept {metrics['cells_kept']} of {metrics['cells']} cells, {floored} with a floored baseline"
)
print(f"valid frames: {metrics['frames_valid']} of {metrics['frames']}")
print(
    f"median noise {metrics['median_noise_level']:.1f} %/sqrt(Hz), SNR {metrics['median_snr']:.1f}"
)
