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
# # IBL sessions: find, open, list
#
# IBL recordings are read through [ONE](https://docs.internationalbrainlab.org), from a local cache
# or from a server. Without a login this page runs on the local cache, which holds a **simulated**
# session. With one, set `url`, and everything below runs on the server's sessions.

# %% tags=["parameters"]
session = "small"
url = ""
run_dir = ""

# %% [markdown]
# ## Log in
#
# Mesoscope recordings need an account of the server. The login never stands in a notebook: it comes
# from the environment of the shell that starts Jupyter.
#
# ```bash
# export ONE_USERNAME=... ONE_PASSWORD=...     # or: export ONE_TOKEN=...
# make lab
# ```
#
# Then set `url = "https://alyx.internationalbrainlab.org"` (members) or
# `"https://openalyx.internationalbrainlab.org"` (public).

# %%
import pandas as pd

from utils.batch import RunFolder
from utils.load_meso_session import MesoscopeSession, open_session
from utils.paths import data_dir, one_cache_dir
from utils.sessions import local_one, server_one
from utils.sessions.find import SERVER_QUERY, SelectionRule, search_sessions

run = RunFolder(run_dir)
if url:
    one = server_one(url)
    eids = list(one.search(**SERVER_QUERY))
else:
    simulated = open_session(session)  # on first use this fills the local cache
    one = local_one(one_cache_dir())
    eids = [simulated.eid]

# %% [markdown]
# ## Search
#
# The server is asked for sessions with a mesoscope field of view. This is the whole query:

# %% tags=["nbval-check-output"]
arguments = ", ".join(f"{key}='{value}'" for key, value in SERVER_QUERY.items())
print(f"one.search({arguments})")

# %% [markdown]
# ## Data sets
#
# Each field of view is a collection `alf/FOV_XX`. Behaviour lies in `alf/task_00` and `alf`.

# %% tags=["nbval-check-output"]
paths = pd.Series(list(one.list_datasets(eids[0]))).str.rsplit("/", n=1, expand=True)
datasets = paths[paths[0].str.startswith("alf")].groupby(0)[1].apply(list)
for collection, names in datasets.items():
    print(f"{collection}: {len(names)} data sets, e.g. {names[0]}")

# %% [markdown]
# ## Open
#
# `from_eid` takes any ONE object. `raw_activity=True` loads fluorescence, `False` the deconvolved
# activity. From a server only what is used is downloaded; each FOV has about 250 MB per kind of
# trace, so `max_fovs` is a good start.

# %%
recording = MesoscopeSession.from_eid(one, eids[0], raw_activity=False, max_fovs=1)
recording

# %% tags=["nbval-check-output"]
activity, times = recording.get_activity_matrix(time_window=(0, 600))
print(f"first ten minutes: {activity.shape[0]} frames x {activity.shape[1]} cells")
print(recording.neurons["region"].value_counts().to_string())

# %% [markdown]
# ## Find good sessions
#
# The published list of good sessions has a rule: the right task, at least one hour, and at least
# one FOV with all data sets, no bad frame and 50 ROIs. The simulated session is small and has bad
# frames, as many real ones have, so the strict rule rejects it and says why.

# %% tags=["nbval-check-output"]
strict = search_sessions(one, SelectionRule(), progress=False)
reasons = strict.rejected.set_index("eid")["reason"]
print(reasons.get(eids[0], "accepted"))

# %% [markdown]
# Bad frames are masked everywhere in this project, so a few of them do no harm.

# %% tags=["nbval-check-output"]
rule = SelectionRule(min_rois=20, allow_bad_frames=0.02)
good = search_sessions(one, rule, progress=False).good
print(good[good["eid"] == eids[0]].T.to_string(header=False))

# %% [markdown]
# The list is a csv that `from_csv` reads, by row or by eid. The same from the command line:
#
# ```bash
# python -m utils.sessions find --one https://alyx.internationalbrainlab.org \
#     --out DATA/good_sessions.csv --allow-bad-frames 0.02
# ```

# %% tags=["nbval-check-output"]
csv = data_dir() / "good_sessions.csv"
good.to_csv(csv, index=False)
listed = MesoscopeSession.from_csv(one, csv, eids[0])
print(f"{listed.eid}: {listed.n_fovs} FOVs, {listed.n_total_neurons} cells")
run.save_table(good, "good_sessions", "Sessions that meet the rule.")
run.save_metrics({"sessions": len(good)})
