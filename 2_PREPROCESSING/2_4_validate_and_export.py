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
# # Validate and export
#
# The session file is what all models read. Check it once, know what is in it, and open it
# anywhere.

# %% tags=["parameters"]
session = "small"
experiment = "preprocessing/default"
overrides = []
rate = None
run_dir = ""
seed = 0

# %%
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pandas as pd

from utils.batch import RunFolder
from utils.load_meso_session import MesoscopeSession, open_session
from utils.preprocessing import preprocess, validate_session_file
from utils.sessions.hdf5 import SessionFile, load_activity_matrix
from utils.sessions.hdf5_write import save_activity_matrix

run = RunFolder(run_dir)
recording = open_session(session, rate=rate)
path = preprocess(recording, experiment, overrides, progress=False)
file = SessionFile(path)
file

# %% [markdown]
# ## 1. Checks
#
# Each line can fail: the contents against the stored hash, the blocks and their gaps, and above
# all whether scaler and covariates are those of the training block, recomputed from the file.

# %%
checks = validate_session_file(path)
run.save_table(checks, "checks", "Checks of the session file.")
checks

# %% tags=["nbval-check-output"]
failed = checks[~checks["passed"]]
print(f"{checks['passed'].sum()} of {len(checks)} checks passed")
print(failed.to_string(index=False) if len(failed) else "nothing failed")
must_pass = checks[checks["check"].str.contains("stored hash|blocks|gaps|scaler|infinite")]
assert must_pass["passed"].all(), must_pass

# %% [markdown]
# ## 2. What is inside, and where it came from

# %% tags=["nbval-check-output"]
with h5py.File(path) as opened:
    for name in ("activity", "timestamps", "split", "frame_mask", "covariate_matrix"):
        print(f"/{name}: {opened[name].dtype} {opened[name].shape}")
print(f"unit: {file.unit}; simulated: {file.simulated}")
print(f"baseline: {file.provenance['baseline']}")
print(f"config {file.provenance['config_hash']}")

# %% tags=["nbval-check-output"]
excluded = file.excluded.groupby(["kind", "reason"], sort=False)["count"].sum().reset_index()
print(excluded.to_string(index=False))

# %% [markdown]
# ## 3. Open it elsewhere
#
# The activity is one plain array in the file: three lines of `h5py` read it, in Python or any
# language with HDF5, and it maps into memory without being read. Neurons and trials go out as
# CSV, the matrix alone as the older v1 layout.

# %% tags=["nbval-check-output"]
with TemporaryDirectory() as folder:
    plain = save_activity_matrix(
        f"{folder}/matrix.h5", file.activity, file.timestamps, {"eid": file.eid}
    )
    activity, times, metadata = load_activity_matrix(plain)
    np.testing.assert_array_equal(activity, file.activity)
    file.neurons.to_csv(f"{folder}/neurons.csv", index=False)
    assert len(pd.read_csv(f"{folder}/neurons.csv")) == file.n_neurons
    print(f"v1 round trip: {activity.shape}, {len(metadata)} attributes, equal to the last bit")

reopened = MesoscopeSession.from_preprocessed(path)
assert reopened.get_preprocessed_data()[0].shape == file.activity.shape
print(f"reopened: {reopened.n_fovs} FOVs, {reopened.n_total_neurons} neurons")

# %%
run.save_table(file.neurons, "neurons", "The neurons of the session file, one row per column.")
run.save_metrics(
    {
        "checks": len(checks),
        "checks_passed": int(checks["passed"].sum()),
        "neurons": int(file.n_neurons),
        "frames": int(file.n_frames),
        "megabytes": round(path.stat().st_size / 1e6, 1),
        "content_hash": file.content_hash,
    }
)
