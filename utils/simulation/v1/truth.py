"""What is known of a simulated V1 recording, in memory and in a file beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class V1Truth:
    """T bins, N cells. Rates are expected counts per bin."""

    rates: NDArray[np.float32]  # (T, N)
    visual_rates: NDArray[np.float32]  # (T, N) without the modulation by saccades
    gaze: NDArray[np.float32]  # (T, 2) deg, without the tracker's noise and losses
    saccades: NDArray[np.int64]  # (saccade,) bin in which one begins
    saccade_lags: NDArray[np.float64]  # (lag,) s after that
    saccade_kernel: NDArray[np.float64]  # (lag,) relative change of the rate, for a weight of 1
    family: NDArray[np.int64]  # (N,) cells of one family share sf and ori, across sessions
    is_complex: NDArray[np.bool_]  # (N,)
    centre: NDArray[np.float64]  # (N, 2) deg, azimuth and elevation from the centre of gaze
    ori: NDArray[np.float64]  # (N,) deg of the wave vector, anticlockwise from right
    sf: NDArray[np.float64]  # (N,) c/deg
    phase: NDArray[np.float64]  # (N,) rad at the centre of the receptive field
    mean_rate: NDArray[np.float64]  # (N,) Hz during free viewing, were there no saccades
    saccade_weight: NDArray[np.float64]  # (N,)
    f1_f0: NDArray[np.float64]  # (N,) over the phases of a flashed grating
    fading_cell: int  # falls silent in the last third


def save_v1_truth(path: str | Path, truth: V1Truth) -> None:
    """Write the truth as HDF5, one data set per field of :class:`V1Truth`."""
    with h5py.File(path, "w") as file:
        for name, value in vars(truth).items():
            file[name] = value


def load_v1_truth(path: str | Path) -> V1Truth:
    """Read what :func:`save_v1_truth` wrote.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}: only simulated recordings have a truth beside")
    with h5py.File(path) as file:
        values = {name: file[name][()] for name in V1Truth.__dataclass_fields__}
    return V1Truth(**values | {"fading_cell": int(values["fading_cell"])})
