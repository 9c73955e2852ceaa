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
# # Explore a session
#
# What does this recording hold, where are its cells, and can its frames and clock be trusted?
# Look here first: everything later rests on what this page shows.
#
# Set `session` to `"small"` or `"sample"` (simulated), the eid of a downloaded session, a session
# folder, a suite2p folder (with `rate` in Hz if it does not tell), or a preprocessed file.

# %% tags=["parameters"]
session = "small"
rate = None
run_dir = ""
seed = 0
n_traces = 10
trace_minutes = 4.0

# %%
import matplotlib.pyplot as plt
import numpy as np

from utils.batch import RunFolder
from utils.load_meso_session import open_session
from utils.metrics.population import signal_to_noise
from utils.plots import mark_simulated, use_style
from utils.plots.session import (
    plot_availability,
    plot_cell_counts,
    plot_fov_map,
    plot_frame_quality,
    plot_mean_images,
    plot_sampling,
    plot_traces,
)

use_style()
run = RunFolder(run_dir)
recording = open_session(session, rate=rate)


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, recording.is_simulated), name, caption)
    plt.show()


recording

# %% [markdown]
# ## What is there
#
# Each data set that a session can have, found or not. A missing trace or clock would have been an
# error; anything else that is missing costs what the table says.

# %%
availability = recording.availability
show(
    plot_availability(availability),
    "availability",
    "Expected data sets: found (✓) or missing (–); empty where a collection has none of that kind.",
)

# %% tags=["nbval-check-output"]
missing = availability[~availability["found"]]
print(f"{availability['found'].sum()} of {len(availability)} data sets found")
for row in missing.itertuples():
    print(f"missing {row.dataset} in {row.collection}: {row.consequence}")

# %% [markdown]
# ## Where the cells are
#
# The brain from above. Each field of view (FOV) is imaged in turn; its cells get their area from
# the registration to the Allen atlas, so a border between areas is as exact as that registration.

# %%
neurons = recording.neurons
show(
    plot_fov_map(neurons),
    "fov_map",
    f"Position of {len(neurons):,} cells by area; outlines are the fields of view.",
)

# %%
images = {fov.fov_name: fov.mean_image for fov in recording.fovs if fov.mean_image is not None}
show(plot_mean_images(images, neurons), "mean_images", "Mean image of each FOV with its cells.")

# %%
show(plot_cell_counts(neurons), "cells", "Cells of each FOV by area, and the cell classifier.")

# %% tags=["nbval-check-output"]
n_cells, n_rois = recording.n_total_neurons, recording.n_total_rois
print(f"{n_cells} cells of {n_rois} ROIs in {recording.n_fovs} FOVs")
print(neurons.groupby("region").size().sort_values(ascending=False).to_dict())

# %% [markdown]
# ## Frames and clock
#
# Frames that are flagged or bad are excluded, not deleted: they stay as missing values, so that
# time is never glued together. The FOVs are scanned one after the other, so each has a clock of
# its own; all cells are later brought to one clock.

# %%
unchecked = set(missing.loc[missing["dataset"].str.contains("mpciFrameQC"), "collection"])
times = {fov.fov_name: fov.timestamps for fov in recording.fovs}
show(
    plot_frame_quality(
        times,
        {f.fov_name: None if f.collection in unchecked else f.frame_qc for f in recording.fovs},
        {fov.fov_name: fov.bad_frames for fov in recording.fovs},
        recording.fovs[0].frame_qc_names,
    ),
    "frame_quality",
    "Flagged and excluded frames of each FOV over time; numbers are frames.",
)

# %%
show(
    plot_sampling(times),
    "sampling",
    "Intervals between frames (a gap is a longer one), and the delay between FOVs.",
)

# %% tags=["nbval-check-output"]
steps = np.diff(recording.timestamps)
gaps = steps[steps > 1.5 * np.median(steps)]
excluded = {fov.fov_name: int((~fov.good_frame_mask).sum()) for fov in recording.fovs}
nominal = " (nominal: the recording does not tell)" if recording.rate_is_nominal else ""
print(f"{recording.frame_rate:.3f} Hz{nominal}, {recording.duration_seconds / 60:.1f} min")
print(f"{len(gaps)} gaps, the longest {gaps.max(initial=0):.1f} s")
print("excluded frames:", excluded)

# %% [markdown]
# ## Traces
#
# The cells with the highest signal-to-noise ratio (99.5th percentile above the median, in units of
# the frame-to-frame noise). They are a choice of the best, not typical: the printed quartiles show
# the rest.

# %%
rng = np.random.default_rng(seed)
unit = "dF/F" if recording.raw_activity else "activity"
fov = max(recording.fovs, key=lambda fov: fov.n_neurons)
cells = np.sort(rng.choice(fov.cell_indices, min(fov.n_neurons, 400), replace=False))
good = fov.good_frame_mask
traces = fov.compute_dff(rois=cells) if fov.raw_activity else fov.roi_activity[:, cells]
ratio = signal_to_noise(traces, good)
best = np.argsort(-ratio)[:n_traces]
window = fov.timestamps < fov.timestamps[0] + 60 * trace_minutes
shown = np.where(good[window, None], traces[window][:, best], np.nan)
events = fov.deconvolved_activity
events = None if events is None else np.asarray(events[window][:, cells[best]])
regions = fov.neurons.set_index("roi")["region"]
show(
    plot_traces(
        fov.timestamps[window],
        shown,
        [f"ROI {roi}, {regions[roi]}" for roi in cells[best]],
        unit,
        events,
        f"{fov.fov_name}: the {len(best)} best of {len(cells)} cells",
    ),
    "traces",
    f"{unit} of the cells with the highest signal-to-noise ratio, and deconvolved activity.",
)

# %% tags=["nbval-check-output"]
quartiles = np.percentile(ratio, [25, 50, 75])
print(f"signal-to-noise ratio: best {ratio.max():.0f}, quartiles {quartiles.round(1).tolist()}")
print(f"n = {len(cells)} cells of {fov.fov_name}")

# %%
run.save_metrics(
    {
        "cells": recording.n_total_neurons,
        "rois": recording.n_total_rois,
        "fovs": recording.n_fovs,
        "minutes": recording.duration_seconds / 60,
        "frame_rate": recording.frame_rate,
        "excluded_frames": excluded,
        "missing": missing["dataset"].tolist(),
        "median_snr": float(quartiles[1]),
    }
)
run.save_table(availability, "availability", "Expected data sets and what their absence costs.")
