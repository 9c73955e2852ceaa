"""The one module that knows where things lie.

``DATA`` holds everything that is downloaded, simulated or computed. The environment variable
``MESOTWIN_DATA`` moves it, for example to a scratch disk of a cluster.
"""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
EXPERIMENTS = PROJECT / "3_MODELLING" / "experiments"
NOTEBOOK_FOLDERS = ("1_ANALYSIS", "2_PREPROCESSING", "3_MODELLING", "TUTORIALS")
DATA_VARIABLE = "MESOTWIN_DATA"


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


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
