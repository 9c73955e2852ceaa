"""Files of simulated V1 recordings, made when they are asked for the first time."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import h5py
from tqdm.auto import tqdm

from utils.datasets.v1.recording import write_recording
from utils.paths import atomic_file, data_dir
from utils.simulation.v1 import save_v1_truth, v1_sessions

logger = logging.getLogger(__name__)

RECIPE = 2  # files of another recipe of the simulation are made anew


def simulated_v1(
    folder: str | Path | None = None,
    *,
    n_sessions: int = 3,
    n_cells: int = 48,
    minutes: float = 20.0,
    seed: int = 0,
    n_families: int = 24,
) -> list[Path]:
    """Recordings of :func:`utils.simulation.simulate_v1`, each with its truth beside.

    An hour of recording takes one to two minutes the first time and 1.2 GB; later calls take none.

    Parameters
    ----------
    folder : of the files; by default one below ``DATA/v1`` that is named after the settings.

    Returns
    -------
    ``session_0.h5``, .. for :func:`read_recording`; :func:`truth_path` is where the truth lies.
    """
    settings = {
        "n_sessions": n_sessions,
        "n_cells": n_cells,
        "minutes": float(minutes),
        "seed": seed,
        "n_families": n_families,
    }
    name = f"simulated_{n_sessions}x{minutes:g}min_{n_cells}cells_{n_families}families_seed{seed}"
    folder = Path(folder or data_dir() / "v1" / name)
    paths = [folder / f"session_{i}.h5" for i in range(n_sessions)]
    mark = json.dumps({"recipe": RECIPE, **settings})
    if not all(_is_made(path, mark) for path in paths):
        logger.info("simulating %d V1 recordings into %s", n_sessions, folder)
        _, sessions = v1_sessions(**settings)
        for path, session in zip(paths, tqdm(sessions, "simulating V1", n_sessions)):
            with atomic_file(truth_path(path)) as temporary:
                save_v1_truth(temporary, session.truth)
            write_recording(path, session.arrays, {**session.metadata, "simulation": mark})
    return paths


def truth_path(recording: str | Path) -> Path:
    """The file with the truth of a simulated recording, for ``load_v1_truth``."""
    recording = Path(recording)
    return recording.with_name(f"{recording.stem}_truth.h5")


def _is_made(path: Path, mark: str) -> bool:
    if not (path.is_file() and truth_path(path).is_file()):
        return False
    with h5py.File(path) as file:
        return file.attrs.get("simulation") == mark
