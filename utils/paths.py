"""The one module that knows where things lie.

``DATA`` holds everything that is downloaded, simulated or computed. The environment variable
``MESOTWIN_DATA`` moves it, for example to a scratch disk of a cluster.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
EXPERIMENTS = PROJECT / "3_MODELLING" / "experiments"
NOTEBOOK_FOLDERS = ("1_ANALYSIS", "2_PREPROCESSING", "3_MODELLING", "TUTORIALS")
DATA_VARIABLE = "MESOTWIN_DATA"
TRUTH_FOLDER = "simulation_truth"  # in a session folder; it marks the session as simulated


def data_dir() -> Path:
    """The folder of all data: ``$MESOTWIN_DATA`` where set, else ``DATA`` in the project."""
    return _made(Path(os.environ.get(DATA_VARIABLE) or PROJECT / "DATA").expanduser().resolve())


def one_cache_dir() -> Path:
    """Local ONE cache: simulated sessions, and downloads of real ones."""
    return _made(data_dir() / "one")


def sessions_dir() -> Path:
    """Preprocessed session files (HDF5)."""
    return _made(data_dir() / "sessions")


def runs_dir() -> Path:
    """The run ledger: one folder per executed notebook."""
    return _made(data_dir() / "runs")


def session_eid(relative_path: str) -> str:
    """Stable eid of a session that no server numbered, from its path below the ONE cache.

    The path is ``<lab>/Subjects/<subject>/<date>/<number>``; ONE refuses a uuid5.
    """
    return str(uuid.uuid3(uuid.NAMESPACE_URL, relative_path))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
