"""The index of a ONE cache: stable ids, no warnings (pytest makes each an error)."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from iblutil.io import parquet
from one.api import One

from utils.simulation import build_index

SESSION = "wittelab/Subjects/SP000/2024-03-02/001"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cache with one session of two revisions, and one without a lab folder."""
    for folder in (f"{SESSION}/alf/FOV_00", f"{SESSION}/alf/FOV_00/#2024-05-01#"):
        (tmp_path / folder).mkdir(parents=True)
        np.save(tmp_path / folder / "mpci.times.npy", np.arange(3.0) + len(folder))
    (tmp_path / "SP001/2024-03-03/002/alf").mkdir(parents=True)
    np.save(tmp_path / "SP001/2024-03-03/002/alf/licks.times.npy", np.arange(3.0))
    return tmp_path


def test_tiny_session_can_be_searched_listed_and_loaded(tiny_session: tuple[Path, str]):
    root, eid = tiny_session
    one = One(cache_dir=root, mode="local")
    (found,) = one.search(subject="SIM-2x12-8min-s0")
    assert str(found) == eid
    details = one.get_details(eid)
    assert details["projects"] == "simulation"
    assert details["task_protocol"].startswith("_iblrig_tasks_biasedChoiceWorld")
    assert one.search(task_protocol="passiveVideo")
    assert {"alf/FOV_00", "alf/FOV_01", "alf/task_00"} <= set(one.list_collections(eid))
    for name in one.list_datasets(eid):
        assert one.load_dataset(eid, name) is not None
    assert not [name for name in one.list_datasets(eid) if "truth" in name]
    trials = one.load_object(eid, "trials", collection="alf/task_00")
    assert trials["intervals"].shape[1] == 2
    assert len(trials["stimOff_times"]) == len(trials["stimOn_times"])


def test_ids_are_the_same_after_a_rebuild(root: Path):
    first = build_index(root)
    datasets = pd.read_parquet(root / "datasets.pqt").index
    assert list(build_index(root).index) == list(first.index)
    assert pd.read_parquet(root / "datasets.pqt").index.equals(datasets)
    assert len(first) == 2


def test_ids_do_not_depend_on_the_root_or_on_other_sessions(root: Path, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / SESSION / "alf").mkdir(parents=True)
    np.save(other / SESSION / "alf" / "licks.times.npy", np.arange(3.0))
    (alone,) = build_index(other).index
    assert alone in build_index(root).index
    assert uuid.UUID(alone).version == 3


def test_a_session_of_the_server_keeps_its_id_and_details(root: Path):
    sessions = build_index(root)
    real = "dd45de54-6b3c-443a-949d-e74954fc33b2"
    mine = sessions.index[sessions["subject"] == "SP000"][0]
    sessions = sessions.rename(index={mine: real})
    sessions.loc[real, "projects"] = "ibl_mesoscope_active"
    parquet.save(root / "sessions.pqt", sessions, {})
    rebuilt = build_index(root)
    assert rebuilt.loc[real, "projects"] == "ibl_mesoscope_active"
    assert mine not in rebuilt.index
    one = One(cache_dir=root, mode="local")
    assert one.list_collections(real) == ["alf/FOV_00"]


def test_the_latest_revision_is_the_default(root: Path):
    eid = build_index(root).query("subject == 'SP000'").index[0]
    times = One(cache_dir=root, mode="local").load_dataset(eid, "mpci.times")
    assert times[0] == len(f"{SESSION}/alf/FOV_00/#2024-05-01#")


def test_a_folder_without_sessions_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no ALF session"):
        build_index(tmp_path)
    assert not list(tmp_path.iterdir())
