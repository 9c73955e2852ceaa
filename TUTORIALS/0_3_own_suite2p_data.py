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
# # Your own recording (suite2p)
#
# From a suite2p folder to a scored baseline forecast: what any later model has to beat on *your*
# data. Set `folder` to a plane folder or to the parent of `plane0, plane1, ...`, and `rate` (Hz) if
# there is no `ops.npy`.
#
# Without a folder this page makes one from the **simulated** session, so that you see what to
# expect. Simulated data show that code works; they are no evidence about brains.

# %% tags=["parameters"]
folder = ""
rate = None
session = "small"
context = 48
horizon = 16
run_dir = ""

# %%
import matplotlib.pyplot as plt
import numpy as np

from utils.batch import RunFolder
from utils.evaluation import score_forecasts
from utils.load_meso_session import open_session
from utils.models.forecasting import build_forecaster
from utils.paths import data_dir
from utils.plots import mark_simulated, use_style
from utils.plots.forecasting import plot_skill_by_horizon
from utils.plots.session import plot_traces
from utils.preprocessing import preprocess
from utils.sessions import SessionFile
from utils.sessions.suite2p import write_suite2p
from utils.windows import load_windows

use_style()
run = RunFolder(run_dir)

# %%
if not folder:
    source = open_session(session)
    folder = data_dir() / "suite2p_example"
    steps = np.diff(source.timestamps)
    # suite2p has no frame times: the example ends before the first gap
    n_frames = np.argmax(steps > 1.5 * np.median(steps)) + 1
    write_suite2p(source.fovs, folder, frames=n_frames, simulated=source.is_simulated)

# %% [markdown]
# ## Open
#
# | file | used for | without it |
# |---|---|---|
# | `F.npy` | fluorescence | an error |
# | `Fneu.npy` | neuropil correction | dF/F without it |
# | `spks.npy` | deconvolved activity | only fluorescence |
# | `iscell.npy` | which ROIs are cells | all ROIs are used |
# | `stat.npy` | positions | unknown |
# | `ops.npy` | frame rate `fs`, bad frames, planes | `rate`, or time in frames |
#
# Planes are recorded in turn: plane `k` of `n` starts `k / (n * rate)` seconds late, and all are
# brought to one clock. Files of Python objects are read without running any code in them.

# %%
recording = open_session(folder, rate=rate)
recording

# %% tags=["nbval-check-output"]
for row in recording.availability.query("not found").itertuples():
    print(f"{row.collection}/{row.dataset} is missing: {row.consequence}")
nominal = " (nominal)" if recording.rate_is_nominal else ""
print(f"{recording.n_total_neurons} cells of {recording.n_total_rois} ROIs")
print(f"{recording.duration_seconds / 60:.1f} min at {recording.frame_rate:.2f} Hz{nominal}")

# %%
dff, times = recording.get_dff_activity_matrix((0, 120))
busiest = np.argsort(-np.nanstd(dff, axis=0))[:8]
figure = plot_traces(times, dff[:, busiest], [f"cell {i}" for i in busiest], "dF/F")
run.save_figure(mark_simulated(figure, recording.is_simulated), "traces", "Busiest cells, dF/F.")
plt.show()

# %% [markdown]
# ## Preprocess
#
# dF/F, quality, and a scaling that is fitted on the training block only. The file says what was
# left out and why.

# %%
path = preprocess(recording, progress=False)
file = SessionFile(path)
file

# %% tags=["nbval-check-output"]
for row in file.excluded.itertuples():
    print(f"{row.kind}: {row.count} x {row.reason}")

# %% [markdown]
# ## Forecast
#
# From `context` frames the next `horizon` frames are predicted. The blocks of time for training,
# validation and test lie apart, and no window crosses a gap.

# %%
data = load_windows(path, context=context, horizon=horizon)
data

# %% [markdown]
# Four forecasts that need no deep network: the last value; the mean of the context; the mean of the
# training block; and an autoregression of order 16 for each neuron, fitted in closed form.

# %%
model = build_forecaster("ar16").fit(data)
baselines = ["persistence", "mean", "train_mean"]
scores = score_forecasts(model, data, baselines=baselines)
table = scores.to_frame()
run.save_table(table, "scores", "AR16 on the test block: one row per horizon and baseline.")
table.query("horizon in (1, @horizon)").round(3)

# %%
figure = plot_skill_by_horizon(table, baselines)
run.save_figure(mark_simulated(figure, recording.is_simulated), "skill", "Skill of AR16 by time.")
plt.show()

# %% tags=["nbval-check-output"]
last = table[table["horizon"] == horizon].set_index("baseline")
for name, row in last.iterrows():
    estimable = np.isfinite(row["low"])
    interval = f"[{row['low']:.2f}, {row['high']:.2f}]" if estimable else "interval not estimable"
    print(f"skill over {name} at {row['seconds']:.1f} s: {row['skill']:.2f} {interval}")

# %% [markdown]
# A skill of 0 is no better than the baseline, 1 is perfect. An interval needs at least ten test
# blocks of a minute; a short recording has none. A network counts only if it beats all of these:
# go on with `3_MODELLING/3_1_baselines` and `3_2_informer`, with `session` set to your folder.

# %%
run.save_metrics(scores.summary())
