"""What the bytes of VIMH cannot hold: exact parameters, and the level of each recording.

An optional file beside the records, which readers of the format itself do not see. Labels in VIMH
are one byte, and its images lose their level (and those with envelope channels their scale in dB,
too); the sidecar keeps both, for synthesis of the very same audio and for amplitudes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from utils.datasets.vimh.errors import VIMHError

SIDECAR = "vimh_exact.npz"


@dataclass(frozen=True, eq=False)
class Exact:
    """Of one part of a data set, record by record."""

    values: NDArray[np.float64]  # (n, N) parameters before they became codes
    scale: NDArray[np.float32]  # (n, 2) dB: smallest and largest of the recording's spectrum


def write_sidecar(folder: Path, parts: dict[str, Exact]) -> None:
    """Write ``vimh_exact.npz`` of the parts ``train`` and ``test``."""
    arrays = {}
    for name, exact in parts.items():
        arrays[f"{name}_values"] = np.asarray(exact.values, np.float64)
        arrays[f"{name}_scale"] = np.asarray(exact.scale, np.float32)
    np.savez(folder / SIDECAR, **arrays)


def read_sidecar(folder: Path) -> dict[str, Exact]:
    """Parts by name; none where there is no sidecar.

    Raises
    ------
    VIMHError
        A file that is damaged or lacks a part.
    """
    path = folder / SIDECAR
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {
                name: Exact(arrays[f"{name}_values"], arrays[f"{name}_scale"])
                for name in ("train", "test")
            }
    except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
        raise VIMHError(f"{path} cannot be read: {error}; delete or replace it") from None
