"""Simulate a whole mesoscope session on disk, once, safely."""

from __future__ import annotations

import logging
import numbers
import os
import shutil
import uuid
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from filelock import FileLock
from tqdm.auto import tqdm

from utils.config import near_matches
from utils.paths import one_cache_dir, session_eid
from utils.simulation.alf_writer import write_behaviour, write_fov
from utils.simulation.calcium import INDICATORS
from utils.simulation.one_index import build_index
from utils.simulation.recording import MAX_FOVS, Settings, World, make_world, record_fov
from utils.simulation.truth import (
    read_settings,
    write_fov_truth,
    write_settings,
    write_world_truth,
)

logger = logging.getLogger(__name__)

LAB, DATE, NUMBER = "simulation", "2025-01-01", "001"
MIN_MINUTES = 4.0  # 1 min passive, up to 2 min gap, 1 min task
MIN_CELLS = 4  # one may be spoiled on purpose
# 8 FOVs x 3500 ROIs (30 % cells) x 20,000 frames, as large as real sessions
FULL = {"n_fovs": 8, "n_cells": 1050, "n_others": 2450, "minutes": None, "n_frames": 20_000}
# the task lasts long enough for ten test blocks of 60 s
PRESETS = {
    "small": {"n_fovs": 2, "n_cells": 24, "minutes": 62, "seed": 1},
    "sample": {"n_fovs": 2, "n_cells": 150, "minutes": 66, "seed": 11},
}


def simulate_session(
    root: str | Path,
    n_fovs: int = 2,
    n_cells: int = 150,
    minutes: float = 40,
    seed: int = 0,
    *,
    size: str | None = None,
    indicator: str = "GCaMP6s",
    progress: bool = True,
) -> str:
    """Write a simulated session below ``root``, index it for ONE, and return its eid.

    The same arguments give the same eid and the same bytes; a session that is there already is
    returned at once. Ground truth lies in ``simulation_truth`` beside the data
    (:func:`utils.simulation.load_truth`).

    Parameters
    ----------
    root : folder of a ONE cache; made where missing.
    n_fovs : fields of view, 1 to 8.
    n_cells : cells per FOV (as many ROIs that are no cells come on top), at least 4.
    minutes : length of the recording with the gap and the passive bout, at least 4.
    seed : of all random numbers, >= 0.
    size : ``"full"`` for 8 FOVs x 3500 ROIs x 20,000 frames, whatever the three above say.
    indicator : GCaMP6s, GCaMP6m or GCaMP6f.
    progress : show a progress bar.

    Raises
    ------
    ValueError, TypeError
        An argument out of range or of the wrong type.
    """
    settings = _checked_settings(n_fovs, n_cells, minutes, seed, size, indicator)
    root = Path(root).expanduser().resolve()
    root.mkdir(parents=True, exist_ok=True)
    subject = _subject(settings, size)
    relative = f"{LAB}/Subjects/{subject}/{DATE}/{NUMBER}"
    if not _is_complete(root / relative, settings):
        # another process may be at work on the same session: wait for it
        (root / ".partial").mkdir(exist_ok=True)
        with FileLock(root / ".partial" / f"{subject}.lock"):
            if not _is_complete(root / relative, settings):
                _write_session(root / relative, root / ".partial" / subject, settings, progress)
                build_index(root)  # also where a session of another version had other data sets
    if not _is_indexed(root, relative):
        build_index(root)
    return session_eid(relative)


def preset_session(name: str) -> str:
    """eid of a preset session in the local ONE cache, simulated on first use.

    Raises
    ------
    ValueError
        Unknown preset.
    """
    if name not in PRESETS:
        raise ValueError(f"no preset session '{name}'{near_matches(name, list(PRESETS))}")
    return simulate_session(one_cache_dir(), **PRESETS[name])


def _write_session(session: Path, partial: Path, settings: Settings, progress: bool) -> None:
    """Write into a partial folder and rename it, so that a killed run leaves no session."""
    logger.info("simulating session %s", session.parent.parent.name)
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    partial.mkdir(parents=True)
    world = make_world(settings)
    write_world_truth(partial, world)
    write_behaviour(partial, world)
    _write_fovs(partial, world, progress)
    write_settings(partial, settings)
    if session.exists():  # written by another version of the simulation
        outdated = partial.with_name(f"{partial.name}-{uuid.uuid4().hex[:8]}")
        os.replace(session, outdated)
        shutil.rmtree(outdated)
    session.parent.mkdir(parents=True, exist_ok=True)
    os.replace(partial, session)


def _write_fovs(session: Path, world: World, progress: bool) -> None:
    settings = world.settings
    # cells are passed twice: spikes, then deconvolution with all other ROIs
    per_fov = 2 * settings.n_cells + settings.n_others
    total = per_fov * settings.n_fovs
    with tqdm(total=total, desc="simulating", unit="ROI", disable=not progress) as bar:
        for index in range(settings.n_fovs):
            recording = record_fov(world, index, bar.update)
            write_fov(session, index, world, recording)
            write_fov_truth(session, index, recording)


def _is_complete(session: Path, settings: Settings) -> bool:
    return read_settings(session) == {"simulated": True, **asdict(settings)}


def _is_indexed(root: Path, relative: str) -> bool:
    path = root / "datasets.pqt"  # replaced after sessions.pqt
    if not path.is_file():
        return False
    eids = pd.read_parquet(path, columns=[]).index.get_level_values("eid")
    return session_eid(relative) in eids


def _subject(settings: Settings, size: str | None) -> str:
    """Name that tells the settings, such as ``SIM-2x150-40min-s0``."""
    scale = size or f"{settings.n_fovs}x{settings.n_cells}-{settings.minutes:g}min"
    indicator = "" if settings.indicator == "GCaMP6s" else f"-{settings.indicator}"
    return f"SIM-{scale}-s{settings.seed}{indicator}"


def _checked_settings(
    n_fovs: int, n_cells: int, minutes: float, seed: int, size: str | None, indicator: str
) -> Settings:
    _check_number("seed", seed, numbers.Integral, 0)
    if indicator not in INDICATORS:
        raise ValueError(f"unknown indicator '{indicator}'; known: {', '.join(INDICATORS)}")
    if size == "full":
        return Settings(**FULL, seed=int(seed), indicator=indicator)
    if size is not None:
        raise ValueError(f"unknown size {size!r}: use 'full', or None with n_fovs and n_cells")
    _check_number("n_fovs", n_fovs, numbers.Integral, 1, MAX_FOVS)
    _check_number("n_cells", n_cells, numbers.Integral, MIN_CELLS)
    _check_number("minutes", minutes, numbers.Real, MIN_MINUTES)
    return Settings(
        n_fovs=int(n_fovs),
        n_cells=int(n_cells),
        n_others=int(n_cells),
        minutes=float(minutes),
        n_frames=None,
        seed=int(seed),
        indicator=indicator,
    )


def _check_number(
    name: str, value: object, kind: type, low: float, high: float = float("inf")
) -> None:
    if isinstance(value, bool) or not isinstance(value, kind):
        expected = "an integer" if kind is numbers.Integral else "a number"
        raise TypeError(f"{name} must be {expected}, found {value!r}")
    if not low <= value <= high or value == float("inf"):
        limit = f"from {low:g} to {high:g}" if high < float("inf") else f"at least {low:g}"
        raise ValueError(f"{name} must be {limit}, found {value!r}")
