"""A trained model is used on a session: forecasts and scores are kept, other neurons refused."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest

from utils.batch.apply import apply_run
from utils.models.forecasting import DataMismatchError, build_forecaster
from utils.paths import one_cache_dir, runs_dir
from utils.preprocessing import preprocess
from utils.sessions.hdf5 import SessionFile
from utils.simulation import simulate_session
from utils.windows import load_windows

CONTEXT, HORIZON = 8, 4


@pytest.fixture(scope="module")
def trained(tiny_session):
    """A run folder with a linear model, fitted on a z-scored tiny session."""
    _, eid = tiny_session
    path = preprocess(eid, overrides=["scaling.method=zscore"], progress=False)
    windows = load_windows(path, CONTEXT, HORIZON)
    folder = runs_dir() / "3_8_linear" / "key"
    build_forecaster("linear").fit(windows).save(folder / "model")
    return folder, eid, path


def test_predictions_and_scores_are_kept_and_not_repeated(trained):
    run, eid, session_file = trained
    folder = apply_run(run, eid)
    assert folder.parent == runs_dir() / "apply"
    with h5py.File(folder / "predictions.h5") as file:
        assert file["predictions"].shape[1:] == (
            HORIZON,
            SessionFile(session_file).activity.shape[1],
        )
        assert np.isfinite(file["predictions"][:]).all()
    scores = pd.read_csv(folder / "tables" / "scores.csv")
    assert set(scores["horizon"]) == set(range(1, HORIZON + 1))
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["model"] == "linear"
    # the model was fitted on z-scored data, so the session had to be z-scored again
    assert metrics["session_file"] == str(session_file)
    stamp = (folder / "done.json").stat().st_mtime_ns
    assert apply_run("3_8_linear/key", eid) == folder
    assert (folder / "done.json").stat().st_mtime_ns == stamp


def test_other_neurons_are_refused_and_leave_no_run(trained):
    other = simulate_session(one_cache_dir(), n_fovs=1, n_cells=6, minutes=8, seed=5)
    before = set((runs_dir() / "apply").glob("*/"))
    with pytest.raises(DataMismatchError, match="neurons"):
        apply_run(trained[0], other)
    assert set((runs_dir() / "apply").glob("*/")) == before


def test_a_run_without_a_model_is_explained(trained, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no saved model in .*3_8_linear/key"):
        apply_run(tmp_path, trained[1])
