"""The one module that knows where things lie, and how a file gets there whole.

``DATA`` holds everything that is downloaded, simulated or computed. The environment variable
``MESOTWIN_DATA`` moves it, for example to a scratch disk of a cluster.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
EXPERIMENTS = PROJECT / "3_MODELLING" / "experiments"
NOTEBOOK_FOLDERS = ("1_ANALYSIS", "2_PREPROCESSING", "3_MODELLING", "TUTORIALS")
DATA_VARIABLE = "MESOTWIN_DATA"
TRUTH_FOLDER = "simulation_truth"  # in a session folder; it marks the session as simulated
_STALE_AFTER = 24 * 3600  # seconds after which another machine's temporary file is litter


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


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary file in the folder of ``path`` that takes its name when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path)
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_stale(path: Path) -> None:
    """Delete what killed processes left of earlier attempts to write ``path``."""
    for litter in path.parent.glob(f".{path.name}.*.tmp"):
        host, pid = litter.name.removesuffix(".tmp").rsplit(".", 2)[-2:]
        with suppress(FileNotFoundError):  # another process may clean up at the same time
            if host == socket.gethostname().rsplit(".", 1)[-1] and pid.isdigit():
                stale = not _is_running(int(pid))
            else:
                stale = time.time() - litter.stat().st_mtime > _STALE_AFTER
            if stale:
                litter.unlink()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
