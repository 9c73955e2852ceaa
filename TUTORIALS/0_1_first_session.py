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
# # Your first session
#
# Open a recording, see what it holds, and look at activity and behaviour together: ten minutes that
# everything else builds on. The session `"small"` is simulated on first use, so no data and no
# account are needed. **Simulated data show that code works; they are no evidence about brains.**

# %% tags=["parameters"]
session = "small"
run_dir = ""

# %%
import matplotlib.pyplot as plt
import numpy as np

from utils.batch import RunFolder
from utils.load_meso_session import open_session
from utils.plots import mark_simulated, use_style
from utils.plots.session import plot_fov_map, plot_traces

use_style()
run = RunFolder(run_dir)
recording = open_session(session)
recording

# %% [markdown]
# `open_session` takes any of these:
#
# | reference | example |
# |---|---|
# | a simulated session | `"small"`, `"sample"` |
# | an eid in the local cache | `"61f260e7-b5d3-4865-a577-bcfc53fda8a8"` (see tutorial 0.2) |
# | a session folder | `".../cortexlab/Subjects/SP066/2025-04-09/001"` |
# | a suite2p folder | `"my_recording/suite2p"` (see tutorial 0.3) |
# | a preprocessed file | `"DATA/sessions/session_<eid>.h5"` |
#
# ## What is there, and what is not
#
# Real recordings lack things. A missing trace or clock is an error; anything else is noted in
# `availability`, with what its absence costs.

# %% tags=["nbval-check-output"]
missing = recording.availability.query("not found")
for row in missing.itertuples():
    print(f"{row.collection}/{row.dataset}: {row.consequence}")

# %% [markdown]
# ## Neurons
#
# One row per cell, in the order of the columns of the activity matrix. `row` and `column` are
# pixels; `ml`, `ap`, `dv` are µm from bregma.

# %%
recording.neurons.head()

# %%
figure = mark_simulated(plot_fov_map(recording.neurons), recording.is_simulated)
run.save_figure(figure, "fov_map", "Where the cells are, by area.")
plt.show()

# %% [markdown]
# ## Activity
#
# The fields of view (FOVs) are scanned in turn, line by line, so no two cells are sampled at the
# same time. `get_activity_matrix` brings all of them to one clock. Where there is no measurement
# (a bad frame, a gap, a FOV that stopped early) the value is NaN; nothing is filled in.

# %% tags=["nbval-check-output"]
dff, times = recording.get_dff_activity_matrix()
gaps = np.diff(times) > 1.5 / recording.frame_rate
print(f"dF/F: {dff.shape[0]} frames x {dff.shape[1]} neurons at {recording.frame_rate:.2f} Hz")
print(f"{gaps.sum()} gap, {100 * np.isnan(dff).mean():.2f} % of the values are missing")

# %% [markdown]
# Two minutes of the eight cells that vary most, and below them the speed of the wheel. The wheel's
# velocity is filtered causally: no value depends on what the animal did later.

# %%
shown = slice(*np.searchsorted(times, times[0] + np.array([600, 720])))
spread = np.nanstd(dff[shown], axis=0)
busiest = np.argsort(-spread)[:8]
labels = [f"{recording.neurons['region'][i]} #{i}" for i in busiest]
figure = plot_traces(times[shown], dff[shown][:, busiest], labels, "dF/F", title="Busiest cells")
run.save_figure(mark_simulated(figure, recording.is_simulated), "traces", "Busiest cells, dF/F.")
plt.show()

# %%
speed = np.abs(recording.get_aligned_wheel_velocity(times[shown]))
figure, ax = plt.subplots(figsize=(9, 2), layout="constrained")
ax.plot(times[shown], speed, "k", lw=0.8)
onsets = recording.stimOn_times
onsets = onsets[(onsets > times[shown][0]) & (onsets < times[shown][-1])]
ax.plot(onsets, np.full(len(onsets), -0.1 * np.nanmax(speed)), "v", ms=4)
ax.set(xlabel="time (s)", ylabel="wheel speed (rad/s)", title=f"Wheel, and {len(onsets)} stimuli")
run.save_figure(mark_simulated(figure, recording.is_simulated), "wheel", "Wheel speed and stimuli.")
plt.show()

# %% [markdown]
# ## Behaviour
#
# `trials` has one row per trial, with IBL's column names. The contrast is NaN on the side without a
# stimulus; a catch trial has 0 on one side.

# %%
recording.trials.head(4).T

# %% tags=["nbval-check-output"]
print(f"trials: {len(recording.trials)}, correct {(recording.feedbackType == 1).mean():.0%}")
recorded = {"licks": recording.licks, "pupil samples": recording.pupil}
for name, values in recorded.items():
    print(f"{name}: {'not recorded' if values is None else len(values)}")
if recording.passive is not None:
    print(f"passive bout: {np.ptp(recording.passive):.0f} s")

# %% [markdown]
# ## Where to go on
#
# - `1_ANALYSIS/1_1_explore_session`: everything about one recording, on one page.
# - `TUTORIALS/0_2_ibl_access`: find and open real IBL sessions.
# - `TUTORIALS/0_3_own_suite2p_data`: your own recording, up to a scored forecast.

# %%
run.save_metrics({"cells": recording.n_total_neurons, "trials": len(recording.trials)})
