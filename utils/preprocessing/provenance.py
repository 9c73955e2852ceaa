"""Where a session file comes from: recording, configuration, software."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from utils.config import config_hash
from utils.environment import installed_versions
from utils.paths import PROJECT
from utils.preprocessing.config import PreprocessConfig

RECIPE = 3  # raise it when the same config and recording give other contents than before
_PROBED_FRAMES = 32  # rows of the traces that enter the fingerprint
_PACKAGES = ("mesotwin", "numpy", "scipy", "numba", "h5py", "pandas")


def fingerprint(session: Any) -> str:
    """Hash of a recording that changes when the recording does, without reading gigabytes.

    It covers frame times, exclusions, cells and scan offsets of every FOV in full, all behaviour,
    and 32 evenly spaced frames of each kind of trace.
    """
    digest = hashlib.sha256(str(session.eid).encode())
    for fov in session.fovs:
        _feed(digest, fov.timestamps, fov.bad_frames, fov.frame_qc)
        _feed(digest, fov.cell_indices, fov.roi_time_offsets)
        for traces in (fov.roi_activity, fov.neuropil_activity, fov.deconvolved_activity):
            if traces is not None:
                probed = np.linspace(0, len(traces) - 1, _PROBED_FRAMES).astype(int)
                _feed(digest, np.array(traces[np.unique(probed)]))
    _feed(digest, session.wheel_position, session.wheel_timestamps, session.licks, session.passive)
    for table in (session.trials, session.pupil, session.motion_energy, session.neurons):
        if table is not None and len(table):
            _feed(digest, pd.util.hash_pandas_object(table, index=False).to_numpy())
    return digest.hexdigest()


def make_provenance(config: PreprocessConfig, input_hash: str, seconds: float) -> dict[str, Any]:
    """What made the file, and from what; ``seconds`` is the wall time before writing."""
    return {
        "config": config.model_dump(mode="json"),
        "config_hash": config_hash(config),
        "input_hash": input_hash,
        "recipe": RECIPE,
        "baseline": {"method": config.baseline.method, "causal": config.baseline.causal},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 2),
        "commit": _commit(),
        "versions": installed_versions(_PACKAGES),
    }


def _feed(digest: Any, *arrays: Any) -> None:
    for array in arrays:
        if array is None:
            digest.update(b"none")
            continue
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())


def _commit() -> str:
    """Git commit of the project, with a mark if files differ from it; empty without git."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return described.stdout.strip() if described.returncode == 0 else ""
