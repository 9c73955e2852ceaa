"""Simulated recordings from V1 of an animal that looks around, with all that made them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.simulation.v1.cells import Cells, Families, make_cells, make_families
from utils.simulation.v1.eye import RATE_HZ, measured
from utils.simulation.v1.responses import (
    BASELINE,
    f1_f0,
    filtered,
    modulation,
    normalised_drive,
    saccade_kernel,
)
from utils.simulation.v1.scenes import GREY, PX_PER_DEG
from utils.simulation.v1.trials import BACKIMAGE, STIM_TYPES, Course, session_course
from utils.simulation.v1.truth import V1Truth

UNEQUAL = 0.25  # the largest session has this much more cells than the mean, the smallest less
FADE = (0.68, 0.78)  # part of the session in which the fading cell falls silent
SHORTEST = 1.0  # minutes of a session


@dataclass(frozen=True)
class SimulatedV1Session:
    """Arrays on one clock of 120 Hz, see :mod:`utils.datasets.v1`, and their truth."""

    arrays: dict[str, NDArray[Any]]
    metadata: dict[str, Any]
    truth: V1Truth


@dataclass(frozen=True)
class SimulatedV1:
    """Sessions of different cells from the same families."""

    sessions: list[SimulatedV1Session]
    families: Families


def simulate_v1(
    n_sessions: int = 3,
    n_cells: int = 48,
    minutes: float = 20.0,
    seed: int = 0,
    n_families: int = 24,
) -> SimulatedV1:
    """Spike counts of V1 cells during free viewing, noise, gratings and repeated movies.

    Parameters
    ----------
    n_cells : of all sessions together; the later ones have more.
    minutes : of a session in the mean; the later ones are shorter.
    n_families : pairs of a spatial frequency (1.5 to 8 c/deg) and an orientation that cells share.

    Returns
    -------
    About 0.4 GB for each 20 minutes; :func:`utils.datasets.v1.simulated_v1` writes files instead.

    Raises
    ------
    ValueError
        An argument is out of range.
    """
    families, sessions = v1_sessions(n_sessions, n_cells, minutes, seed, n_families)
    return SimulatedV1(list(sessions), families)


def v1_sessions(
    n_sessions: int, n_cells: int, minutes: float, seed: int, n_families: int
) -> tuple[Families, Iterator[SimulatedV1Session]]:
    """The same, session by session as they are asked for."""
    _check_arguments(n_sessions, n_cells, minutes, n_families)
    shares = _shares(n_sessions)
    rng = np.random.default_rng(seed)
    families = make_families(n_families, rng)
    family = np.concatenate([rng.permutation(n_families) for _ in range(-(-n_cells // n_families))])
    borders = np.rint(n_cells * np.cumsum(shares) / n_sessions).astype(int)
    parts = np.split(family[:n_cells], borders[:-1])
    return families, (
        _session(f"simulated_{i}", part, families, minutes * share, session_rng)
        for i, (part, share, session_rng) in enumerate(
            zip(parts, shares[::-1], rng.spawn(n_sessions))
        )
    )


def _session(
    name: str,
    family: NDArray[np.int64],
    families: Families,
    minutes: float,
    rng: np.random.Generator,
) -> SimulatedV1Session:
    cells = make_cells(family, families, rng)
    course = session_course(round(minutes * 60 * RATE_HZ), rng)
    n_bins = len(course.gaze)
    fading_cell = int(rng.integers(len(cells)))
    fade = np.clip((FADE[1] - np.arange(n_bins) / n_bins) / (FADE[1] - FADE[0]), 0, 1)
    visual = _visual_rates(course, cells)
    visual[:, fading_cell] *= fade
    rates = visual * modulation(course.saccades, n_bins, cells.saccade_weight)
    eyepos, lost = measured(course.gaze, rng)
    valid = np.repeat(~lost[:, None], len(cells), axis=1)
    valid[fade < 0.5, fading_cell] = False  # noticed late, as by a person
    course.stim[lost] = GREY  # nobody knows what was seen
    arrays = {
        "stim": course.stim,
        "robs": rng.poisson(rates).astype(np.uint8),
        "eyepos": eyepos,
        "valid": valid,
        "trial_inds": course.trial_inds,
        "t_bins": (np.arange(n_bins) + 0.5) / RATE_HZ,
        "stim_type": course.stim_type,
        "psth_inds": course.psth_inds,
        **dict(zip(("sf", "ori", "phase"), course.grating.T)),
    }
    metadata = {
        "name": name,
        "rate_hz": RATE_HZ,
        "px_per_deg": PX_PER_DEG,
        "cell_ids": list(range(len(cells))),
        "stim_types": list(STIM_TYPES),
        "simulated": True,
    }
    return SimulatedV1Session(arrays, metadata, _truth(course, cells, visual, rates, fading_cell))


def _visual_rates(course: Course, cells: Cells) -> NDArray[np.float64]:
    """(T, cell) expected counts per bin, were there no saccades."""
    free = course.stim_type == BACKIMAGE
    drive = normalised_drive(filtered(course.stim, cells), cells, free)
    relative = BASELINE + (1 - BASELINE) * drive / drive[free].mean(axis=0)
    return cells.mean_rate / RATE_HZ * relative


def _truth(
    course: Course,
    cells: Cells,
    visual: NDArray[np.float64],
    rates: NDArray[np.float64],
    fading_cell: int,
) -> V1Truth:
    kernel = saccade_kernel()
    return V1Truth(
        rates=rates.astype(np.float32),
        visual_rates=visual.astype(np.float32),
        gaze=course.gaze.astype(np.float32),
        saccades=course.saccades,
        saccade_lags=np.arange(len(kernel)) / RATE_HZ,
        saccade_kernel=kernel,
        family=cells.family,
        is_complex=cells.is_complex,
        centre=cells.centre,
        ori=cells.orientation,
        sf=cells.frequency,
        phase=cells.phase,
        mean_rate=cells.mean_rate,
        saccade_weight=cells.saccade_weight,
        f1_f0=f1_f0(cells),
        fading_cell=fading_cell,
    )


def _shares(n_sessions: int) -> NDArray[np.float64]:
    """(session,) sizes around 1; a single session has all."""
    return 1 + UNEQUAL * np.linspace(-1, 1, n_sessions) * (n_sessions > 1)


def _check_arguments(n_sessions: int, n_cells: int, minutes: float, n_families: int) -> None:
    for name, value, least in (
        ("n_sessions", n_sessions, 1),
        ("n_cells", n_cells, 2 * n_sessions),
        ("n_families", n_families, 1),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, found {value}")
    needed = SHORTEST / _shares(n_sessions).min()
    if not minutes >= needed:
        raise ValueError(
            f"minutes must be at least {needed:g}, found {minutes:g}: the shortest of {n_sessions} "
            "sessions has to hold all repeats of the movies"
        )
