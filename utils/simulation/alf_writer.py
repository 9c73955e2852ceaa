"""Write a simulated session as the ALF data sets of a real one."""

from __future__ import annotations

import csv
import json
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import sparse
import yaml

from utils.simulation.anatomy import AREA_IDS, mean_image, roi_masks
from utils.simulation.behaviour import Behaviour
from utils.simulation.recording import (
    QC_PMT_OFF,
    Recording,
    World,
    line_times,
    loses_frame_qc,
    loses_positions,
)
from utils.simulation.timeline import Timeline

# ALF data sets that IBL documents and that other sessions have, but that are not among those of
# the mesoscope session whose listing is the model for all other names
DOCUMENTED_EXTRAS = (
    "licks.times.npy",
    "_ibl_leftCamera.features.pqt",
    "_ibl_leftCamera.times.npy",
    "_ibl_passivePeriods.intervalsTable.csv",
    "_ibl_passiveRFM.times.npy",
    "_iblrig_RFMapStim.raw.bin",
)
PROTOCOLS = ("_iblrig_tasks_biasedChoiceWorld", "_sp_passiveVideo")
RIG_VERSION = "8.26.0"
PROJECT = "simulation"
LEFT_CAMERA_RATE, RIGHT_CAMERA_RATE = 60.0, 150.0  # Hz
TRIAL_TABLE = (
    "goCue_times",
    "response_times",
    "choice",
    "stimOn_times",
    "contrastLeft",
    "contrastRight",
    "probabilityLeft",
    "feedback_times",
    "feedbackType",
    "rewardVolume",
    "firstMovement_times",
    "intervals_0",
    "intervals_1",
)
TRIAL_ARRAYS = (
    "stimOff_times",
    "quiescencePeriod",
    "goCueTrigger_times",
    "stimOnTrigger_times",
    "stimOffTrigger_times",
)


def write_fov(session: Path, index: int, world: World, recording: Recording) -> None:
    """Write the collection ``alf/FOV_XX`` of one FOV."""
    folder = session / "alf" / f"FOV_{index:02d}"
    folder.mkdir(parents=True)
    _write_frames(folder, recording, not loses_frame_qc(index, world.settings.n_fovs))
    _write_rois(folder, index, world, recording)


def write_behaviour(session: Path, world: World) -> None:
    """Write task, passive bout, cameras and the description of the experiment."""
    rng = np.random.default_rng([world.settings.seed, 4])
    behaviour, timeline = world.behaviour, world.timeline
    _write_description(session)
    _write_task(session / "alf" / "task_00", behaviour)
    _write_passive(session, behaviour, timeline)
    _write_cameras(session / "alf", behaviour, timeline, rng)


def _write_frames(folder: Path, recording: Recording, has_frame_qc: bool) -> None:
    np.save(folder / "mpci.ROIActivityF.npy", recording.fluorescence)
    np.save(folder / "mpci.ROINeuropilActivityF.npy", recording.neuropil)
    np.save(folder / "mpci.ROIActivityDeconvolved.npy", recording.deconvolved)
    np.save(folder / "mpci.times.npy", recording.times)
    np.save(folder / "mpci.badFrames.npy", recording.frame_qc == QC_PMT_OFF)
    if has_frame_qc:
        np.save(folder / "mpci.mpciFrameQC.npy", recording.frame_qc)
    codes = [(0, "ok"), (1, "PMT off"), (2, "galvos fault"), (3, "high signal")]
    _write_names(folder / "mpciFrameQC.names.tsv", "qc", codes)


def _write_rois(folder: Path, index: int, world: World, recording: Recording) -> None:
    rng = np.random.default_rng([world.settings.seed, 5, index])
    fov = recording.fov
    n_rois = len(fov.pixels)
    probability = np.where(fov.is_cell, rng.beta(5, 1.6, n_rois), rng.beta(1.2, 5, n_rois))
    position = np.column_stack([fov.pixels, np.zeros(n_rois, dtype=int)])  # row, column, 0
    np.save(folder / "mpciROIs.mpciROITypes.npy", fov.is_cell.astype(np.int16))
    _write_names(folder / "mpciROITypes.names.tsv", "roi", [(0, "no cell"), (1, "cell")])
    np.save(folder / "mpciROIs.cellClassifier.npy", probability)
    np.save(folder / "mpciROIs.stackPos.npy", position.astype(np.int64))
    if not loses_positions(index, world.settings.n_fovs):
        np.save(folder / "mpciROIs.mlapdv_estimate.npy", fov.mlapdv)
    np.save(folder / "mpciROIs.brainLocationIds_ccf_2017_estimate.npy", AREA_IDS[fov.area])
    ids = [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(n_rois)]
    (folder / "mpciROIs.uuids.csv").write_text("\n".join(["uuids", *ids]) + "\n")

    masks, neuropil_masks = roi_masks(fov, rng)
    _write_sparse(folder / "mpciROIs.masks.sparse_npz", masks)
    _write_sparse(folder / "mpciROIs.neuropilMasks.sparse_npz", neuropil_masks)
    np.save(folder / "mpciMeanImage.images.npy", mean_image(fov, masks, rng))
    np.save(folder / "mpciMeanImage.mlapdv_estimate.npy", fov.pixel_mlapdv)
    pixel_ids = AREA_IDS[fov.pixel_area]
    np.save(folder / "mpciMeanImage.brainLocationIds_ccf_2017_estimate.npy", pixel_ids)
    np.save(folder / "mpciStack.timeshift.npy", line_times())


def _write_task(folder: Path, behaviour: Behaviour) -> None:
    folder.mkdir(parents=True)
    trials = behaviour.trials
    table = trials[list(TRIAL_TABLE)]
    table.to_parquet(folder / "_ibl_trials.table.pqt")
    for name in TRIAL_ARRAYS:
        np.save(folder / f"_ibl_trials.{name}.npy", trials[name].to_numpy())
    # IBL leaves out the trials after which the mouse had stopped working
    np.save(folder / "_ibl_trials.included.npy", np.ones(len(trials), dtype=bool))
    np.save(folder / "_ibl_wheel.position.npy", behaviour.wheel_position)
    np.save(folder / "_ibl_wheel.timestamps.npy", behaviour.wheel_times)
    intervals = behaviour.movements[["start", "stop"]].to_numpy()
    np.save(folder / "_ibl_wheelMoves.intervals.npy", intervals)
    amplitude = behaviour.movements["amplitude"].to_numpy()
    np.save(folder / "_ibl_wheelMoves.peakAmplitude.npy", amplitude)


def _write_passive(session: Path, behaviour: Behaviour, timeline: Timeline) -> None:
    folder = session / "alf" / "task_01"
    folder.mkdir(parents=True)
    np.save(folder / "_sp_video.times.npy", behaviour.noise_times)
    np.save(folder / "_ibl_passiveRFM.times.npy", behaviour.noise_times)
    start, stop = timeline.passive
    noise_start = behaviour.noise_times[0]
    periods = pd.DataFrame(
        {
            "passiveProtocol": (start, stop),
            "spontaneousActivity": (start, noise_start),
            "RFM": (noise_start, stop),
        },
        index=["start", "stop"],
    )
    periods.to_csv(folder / "_ibl_passivePeriods.intervalsTable.csv")
    # uint8 (frame, column, row), as the rig stores its receptive-field mapping
    squares = behaviour.noise_frames.swapaxes(1, 2)
    raw = session / "raw_task_data_01"
    (raw / "_iblrig_RFMapStim.raw.bin").write_bytes(squares.tobytes())


def _write_cameras(
    folder: Path, behaviour: Behaviour, timeline: Timeline, rng: np.random.Generator
) -> None:
    np.save(folder / "licks.times.npy", behaviour.licks)
    left = np.arange(0.2, timeline.fine_times[-1], 1 / LEFT_CAMERA_RATE)
    right = np.arange(0.1, timeline.fine_times[-1], 1 / RIGHT_CAMERA_RATE)
    np.save(folder / "_ibl_leftCamera.times.npy", left)
    _pupil(left, behaviour, timeline, rng).to_parquet(folder / "_ibl_leftCamera.features.pqt")
    # the right camera's clock is missing, as in some real sessions
    for name, times in (("left", left), ("right", right)):
        energy = _motion_energy(times, behaviour, timeline, rng)
        np.save(folder / f"{name}Camera.ROIMotionEnergy.npy", energy)


def _pupil(
    times: np.ndarray, behaviour: Behaviour, timeline: Timeline, rng: np.random.Generator
) -> pd.DataFrame:
    """Pupil diameter in pixels that follows the arousal; NaN in the raw one where it blinks."""
    arousal = np.interp(times, timeline.fine_times, behaviour.arousal)
    smooth = 22.0 + 3.5 * np.tanh(0.6 * arousal)
    raw = smooth + rng.normal(0, 0.6, len(times))
    for blink in rng.integers(0, len(times) - 12, len(times) // 1500):
        raw[blink : blink + 10] = np.nan
    return pd.DataFrame({"pupilDiameter_raw": raw, "pupilDiameter_smooth": smooth})


def _motion_energy(
    times: np.ndarray, behaviour: Behaviour, timeline: Timeline, rng: np.random.Generator
) -> np.ndarray:
    """Mean absolute change of the whisker pad: wheel, licks, fidgeting with arousal."""
    arousal = np.interp(times, timeline.fine_times, behaviour.arousal)
    speed = behaviour.wheel_speed(times)
    licking = np.zeros(len(times))
    licking[np.searchsorted(times, behaviour.licks)] = 1.0
    licking = np.convolve(licking, np.ones(5), mode="same")
    fidget = rng.gamma(1.5, 0.5, len(times)) * np.exp(0.4 * arousal)
    return 2.0 + 0.8 * fidget + 1.2 * np.minimum(speed, 5) + 0.8 * licking


def _write_description(session: Path) -> None:
    """The rig's description of the experiment and the settings of both tasks."""
    tasks = []
    for number, protocol in enumerate(PROTOCOLS):
        raw = f"raw_task_data_{number:02d}"
        (session / raw).mkdir(parents=True)
        settings = {"PYBPOD_PROTOCOL": protocol, "IBLRIG_VERSION": RIG_VERSION}
        path = session / raw / "_iblrig_taskSettings.raw.json"
        path.write_text(json.dumps(settings, indent=1))
        tasks.append({protocol: {"collection": raw}})
    description = {
        "version": "1.0.0",
        "procedures": ["Imaging"],
        "projects": [PROJECT],
        "tasks": tasks,
    }
    text = yaml.safe_dump(description, sort_keys=False)
    (session / "_ibl_experiment.description.yaml").write_text(text)


def _write_names(path: Path, kind: str, names: list[tuple[int, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerows([(f"{kind}_values", f"{kind}_labels"), *names])


def _write_sparse(path: Path, masks: sparse.GCXS) -> None:
    with path.open("wb") as file:  # by name, numpy would append .npz
        sparse.save_npz(file, masks)
