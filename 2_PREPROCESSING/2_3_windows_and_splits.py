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
# # Windows and splits
#
# A forecast is only as honest as the way its test windows were kept apart. This page shows where
# the blocks lie, that no window crosses a gap or a border, and what a careless split would give
# away.

# %% tags=["parameters"]
session = "small"
experiment = "preprocessing/default"
overrides = []
rate = None
run_dir = ""
seed = 0
context = 48
horizon = 16

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from utils.batch import RunFolder
from utils.load_meso_session import open_session
from utils.metrics.leakage import lookup_r2, share_seen
from utils.plots.preprocessing import plot_shared_frames, plot_splits
from utils.plots.style import mark_simulated, use_style
from utils.preprocessing import preprocess
from utils.sessions.hdf5 import SessionFile
from utils.windows import load_windows

use_style()
run = RunFolder(run_dir)
recording = open_session(session, rate=rate)
file = SessionFile(preprocess(recording, experiment, overrides, progress=False))
data = load_windows(file, context=context, horizon=horizon)
data

# %% [markdown]
# ## 1. Blocks in order of time
#
# Training comes first, then validation, then test, each in one piece, so that no block knows the
# future of an earlier one. Neighbouring frames are alike: between two blocks at least one window
# is left unused. The passive bout is never trained on; it is a test of another state.

# %%
activity = np.asarray(file.activity[:, :: max(file.n_neurons // 200, 1)])
figure = plot_splits(file.timestamps, data.split, file.frame_mask, activity)
mark_simulated(figure, file.simulated)
run.save_figure(figure, "splits", "Blocks of the recording over its mean activity.")
plt.show()

# %% tags=["nbval-check-output"]
blocks = [block for block in (data.train, data.validation, data.test, data.passive) if block]
table = pd.DataFrame(
    [(b.name, b.minutes, len(b.segments), len(b), b.minutes >= 10) for b in blocks],
    columns=["block", "minutes", "segments", "windows", "interval possible"],
)
run.save_table(table, "blocks", "Minutes, uninterrupted segments and windows of each block.")
print(table.round(1).to_string(index=False))

# %% [markdown]
# ## 2. No window crosses a gap, a bad frame or a border
#
# Checked for every single window, from the stored times, frame flags and labels alone.

# %% tags=["nbval-check-output"]
window = context + horizon
longest = 1.5 * np.median(np.diff(file.timestamps))
for block in blocks:
    rows = block.starts.numpy()[:, None] + np.arange(window)  # (window, frame)
    assert (np.diff(file.timestamps[rows], axis=1) < longest).all(), "a window crosses a gap"
    assert file.frame_mask[rows].all(), "a window holds an invalid frame"
    assert (data.split[rows] == data.split[rows[:, :1]]).all(), "a window crosses a border"
    print(f"{block.name}: {len(rows)} windows checked")

last_train = data.train.starts.numpy()[-1] + window - 1
first_test = data.test.starts.numpy()[0]
apart = file.timestamps[first_test] - file.timestamps[last_train]
assert first_test - last_train > window
print(f"last training frame to first test frame: {apart:.0f} s")

# %% [markdown]
# ## 3. What a random split gives away
#
# Windows that start one frame apart share all but one of their frames. Shuffle them into training
# and test, and nearly every frame of a test window, its targets included, was seen in training.

# %%
rng = np.random.default_rng(seed)
starts = np.concatenate([block.starts.numpy() for block in blocks[:3]])
random_test = rng.random(len(starts)) < 0.2

split_starts = {
    "random windows": (starts[~random_test], starts[random_test]),
    "blocks with gaps": (data.train.starts.numpy(), data.test.starts.numpy()),
}
shares = {name: share_seen(*pair, window) for name, pair in split_starts.items()}
figure = plot_shared_frames(shares, window)
mark_simulated(figure, file.simulated)
run.save_figure(figure, "shared_frames", "Frames of test windows that training has seen.")
plt.show()

# %% [markdown]
# Does it matter? A forecast that only looks up the five most similar training windows cannot know
# anything about the brain. With a random split it looks skilled, because it finds the windows that
# overlap; with blocks it is what it is.

# %% tags=["nbval-check-output"]
values = np.nan_to_num(np.asarray(file.activity)[:, rng.permutation(file.n_neurons)[:40]])

leaky, honest = (
    lookup_r2(values, rng.permutation(train)[:3000], rng.permutation(test)[:400], context, horizon)
    for train, test in split_starts.values()
)
print(f"R2 of looking up similar windows, random split: {leaky:.2f}")
print(f"R2 of looking up similar windows, blocks with gaps: {honest:.2f}")
assert shares["blocks with gaps"].max() == 0
run.save_metrics(
    {
        "windows": {block.name: len(block) for block in blocks},
        "seconds_between_train_and_test": float(apart),
        "seen_random": float(shares["random windows"].mean()),
        "seen_blocks": float(shares["blocks with gaps"].mean()),
        "lookup_r2_random": float(leaky),
        "lookup_r2_blocks": float(honest),
    }
)
