"""A tiny hand-made IBL session, small enough to break in many ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

RELATIVE = "lab/Subjects/SP001/2025-02-03/001"
N_FRAMES, N_ROIS, RATE = 60, 5, 5.0


def write_fov(session: Path, name: str = "FOV_00", n_frames: int = N_FRAMES) -> Path:
    """One FOV of 5 ROIs, 4 of them cells; ROI values tell frame and ROI apart."""
    folder = session / "alf" / name
    folder.mkdir(parents=True)
    frame, roi = np.mgrid[:n_frames, :N_ROIS]
    activity = (100 + frame + 1000 * roi).astype(np.float32)
    arrays = {
        "mpci.ROIActivityF": activity,
        "mpci.ROINeuropilActivityF": np.full_like(activity, 10),
        "mpci.ROIActivityDeconvolved": activity / 100,
        "mpci.times": 2.0 + np.arange(n_frames) / RATE,
        "mpci.badFrames": np.arange(n_frames) == 7,
        "mpci.mpciFrameQC": np.where(np.arange(n_frames) == 9, 3, 0).astype(np.uint32),
        "mpciROIs.mpciROITypes": np.array([1, 0, 1, 1, 1], dtype=np.int16),
        "mpciROIs.cellClassifier": np.linspace(0.5, 0.9, N_ROIS),
        "mpciROIs.stackPos": np.array([[r, 3 - r % 4, 0] for r in range(N_ROIS)]),
        "mpciROIs.mlapdv_estimate": np.arange(3.0 * N_ROIS).reshape(N_ROIS, 3),
        "mpciROIs.brainLocationIds_ccf_2017_estimate": np.array([593, 593, 421, 981, 5_000_000]),
        "mpciStack.timeshift": np.arange(8) * 0.01,
        "mpciMeanImage.images": np.ones((8, 8)),
    }
    for dataset, values in arrays.items():
        np.save(folder / f"{dataset}.npy", values)
    uuids = "\n".join(["uuids", *(f"{name}-{i}" for i in range(N_ROIS))])
    (folder / "mpciROIs.uuids.csv").write_text(uuids + "\n")
    (folder / "mpciFrameQC.names.tsv").write_text("qc_values\tqc_labels\n0\tok\n3\thigh signal\n")
    return folder


def write_task(session: Path, n_trials: int = 6) -> Path:
    """Trials and wheel."""
    folder = session / "alf" / "task_00"
    folder.mkdir(parents=True)
    starts = 2.0 + np.arange(n_trials)
    trials = pd.DataFrame({"intervals_0": starts, "intervals_1": starts + 0.9})
    trials["stimOn_times"] = starts + 0.1
    trials["contrastLeft"] = np.where(np.arange(n_trials) % 2, np.nan, 0.25)
    trials.to_parquet(folder / "_ibl_trials.table.pqt")
    np.save(folder / "_ibl_trials.stimOff_times.npy", starts + 0.5)
    np.save(folder / "_ibl_wheel.timestamps.npy", np.arange(2.0, 12.0, 0.01))
    np.save(folder / "_ibl_wheel.position.npy", np.arange(2.0, 12.0, 0.01) * 0.5)
    return folder


@pytest.fixture
def make_session(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes a session with the named FOVs and returns its folder."""

    def make(*fovs: str) -> Path:
        session = tmp_path / "one" / RELATIVE
        for name in fovs or ("FOV_00",):
            write_fov(session, name)
        write_task(session)
        return session

    return make
