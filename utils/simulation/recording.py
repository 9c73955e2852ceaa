"""One simulated world, and what each field of view records of it (all in memory)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from utils.signals.baselines import maximin_baseline
from utils.signals.deconvolution import deconvolve_ar1
from utils.simulation import calcium
from utils.simulation.anatomy import FOV_CENTRES, IMAGE_SIZE, FieldOfView, place_fov
from utils.simulation.behaviour import Behaviour, simulate_behaviour
from utils.simulation.calcium import Optics
from utils.simulation.latents import Latents, simulate_latents
from utils.simulation.neurons import Cells, VisualInput, draw_cells, simulate_spikes
from utils.simulation.timeline import (
    FINE_STEP,
    FOV_DELAY,
    FRAME_RATE,
    LINE_PERIOD,
    STEPS_PER_FRAME,
    Timeline,
    make_timeline,
)

VERSION = 2  # raise it when the same settings give other data
BLOCK = 128  # ROIs simulated at a time: bounds the memory
QC_OK, QC_PMT_OFF, QC_HIGH_SIGNAL = 0, 1, 3
MAX_FOVS = len(FOV_CENTRES)
NEUROPIL_COEFFICIENT = 0.7  # of suite2p


@dataclass(frozen=True)
class Settings:
    """What defines a simulated session: equal settings give equal bytes."""

    n_fovs: int
    n_cells: int  # per FOV
    n_others: int  # per FOV, ROIs that are no cells
    minutes: float | None
    n_frames: int | None  # instead of minutes
    seed: int
    indicator: str = "GCaMP6s"
    version: int = VERSION


@dataclass(frozen=True)
class World:
    """What all fields of view share."""

    settings: Settings
    timeline: Timeline
    behaviour: Behaviour
    latents: Latents
    visual_input: VisualInput


@dataclass(frozen=True)
class Recording:
    """One FOV as recorded, with its truth. Traces are ``(T, N)``, truth is per cell."""

    fov: FieldOfView
    times: np.ndarray  # (T,) s
    frame_qc: np.ndarray  # (T,) uint32
    fluorescence: np.ndarray  # (T, N) float32
    neuropil: np.ndarray  # (T, N) float32
    deconvolved: np.ndarray  # (T, N) float32
    cells: Cells
    optics: Optics
    spikes: np.ndarray  # (T_all, n_cells) uint8, on the truth clock
    rates: np.ndarray  # (T_all, n_cells) float32, Hz
    constant: np.ndarray  # ROI indices
    negative: np.ndarray  # ROI indices


def make_world(settings: Settings) -> World:
    """Timeline, behaviour and latents of a session."""
    seed = settings.seed
    timeline = make_timeline(settings.minutes, settings.n_frames, seed)
    behaviour = simulate_behaviour(timeline, np.random.default_rng([seed, 1]))
    latents = simulate_latents(timeline, behaviour, np.random.default_rng([seed, 2]))
    return World(settings, timeline, behaviour, latents, VisualInput(timeline, behaviour))


def truth_times(timeline: Timeline) -> np.ndarray:
    """Clock of spikes and rates: bins of one frame, through the gap, ``(T_all,)`` s."""
    return timeline.fine_times[: _whole_frames(timeline) : STEPS_PER_FRAME]


def line_times() -> np.ndarray:
    """Time of each scan line after the start of the FOV's frame, ``(512,)`` s."""
    return np.arange(IMAGE_SIZE) * LINE_PERIOD


def record_fov(
    world: World, index: int, advance: Callable[[int], object] = lambda n: None
) -> Recording:
    """Simulate FOV number ``index``; ``advance(n)`` is called after each ``n`` ROIs."""
    settings = world.settings
    rng = np.random.default_rng([settings.seed, 3, index])
    fov = place_fov(index, settings.n_cells, settings.n_others, rng)
    cells = draw_cells(fov, rng)
    optics = calcium.draw_optics(fov.is_cell, rng)
    # ROI time = FOV offset + its scan line, in fine steps after the volume's start
    delay = (index * FOV_DELAY + line_times()[fov.pixels[:, 0]]) / FINE_STEP
    dff, spikes, rates = _cell_activity(world, fov, cells, optics, delay, rng, advance)
    light, around = _seen_light(world, fov, optics, dff, rng)
    kept = len(light) - _lost_frames(index)
    light, around = light[:kept], around[:kept]
    frame_qc = _damage_frames(light, around, not loses_frame_qc(index, settings.n_fovs), rng)
    constant, negative = _spoil_rois(light, around, fov, index, settings.n_fovs, rng)
    return Recording(
        fov=fov,
        times=world.timeline.frame_steps[:kept] * FINE_STEP + index * FOV_DELAY,
        frame_qc=frame_qc,
        fluorescence=light,
        neuropil=around,
        deconvolved=_deconvolve(light, around, frame_qc, settings.indicator, advance),
        cells=cells,
        optics=optics,
        spikes=spikes,
        rates=rates,
        constant=constant,
        negative=negative,
    )


def loses_frame_qc(index: int, n_fovs: int) -> bool:
    """The last FOV lacks its optional frame QC; its high-signal frames are absent as well."""
    return n_fovs > 1 and index == n_fovs - 1


def loses_positions(index: int, n_fovs: int) -> bool:
    """With three FOVs or more the second lacks the positions of its ROIs (areas remain)."""
    return n_fovs > 2 and index == 1


def _cell_activity(
    world: World,
    fov: FieldOfView,
    cells: Cells,
    optics: Optics,
    delay: np.ndarray,
    rng: np.random.Generator,
    advance: Callable[[int], object],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Saturated dF/F ``(n_cells, T)``, spike counts and rates ``(T_all, n_cells)``."""
    rois = np.flatnonzero(fov.is_cell)
    frame_steps = world.timeline.frame_steps
    n_bins = _whole_frames(world.timeline) // STEPS_PER_FRAME
    dff = np.empty((len(rois), len(frame_steps)), dtype=np.float32)
    spikes = np.empty((n_bins, len(rois)), dtype=np.uint8)
    rates = np.empty((n_bins, len(rois)), dtype=np.float32)
    for rows in _blocks(len(rois)):
        fine_spikes, fine_rates = simulate_spikes(
            cells.block(rows), world.latents, world.visual_input, rng
        )
        spikes[:, rows] = _per_frame(fine_spikes).sum(-1, dtype=np.uint8).T
        rates[:, rows] = _per_frame(fine_rates).mean(-1).T
        tau = calcium.INDICATORS[world.settings.indicator]
        response = calcium.calcium_response(fine_spikes, tau)
        sampled = calcium.sample_frames(response, frame_steps, delay[rois[rows]])
        amplitude = optics.amplitude[rois[rows], None].astype(np.float32)
        dff[rows] = calcium.saturate(amplitude * sampled)
        advance(len(sampled))
    return dff, spikes, rates


def _seen_light(
    world: World, fov: FieldOfView, optics: Optics, dff: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """F and Fneu of all ROIs, ``(T, N)`` float32."""
    tau = calcium.INDICATORS[world.settings.indicator]
    neuropil = calcium.neuropil_signals(world.latents, tau, world.timeline.frame_steps)
    cell_number = np.cumsum(fov.is_cell) - 1
    n_rois = len(fov.is_cell)
    light = np.empty((dff.shape[1], n_rois), dtype=np.float32)
    around = np.empty_like(light)
    for rows in _blocks(n_rois):
        rois = np.arange(n_rois)[rows]
        # a fragment carries part of its parent's dF/F, other non-cells none
        source = np.where(fov.is_cell[rois], rois, fov.parent[rois])
        share = np.where(fov.is_cell[rois], 1.0, optics.amplitude[rois]) * (source >= 0)
        signal = dff[cell_number[source]] * share[:, None].astype(np.float32)
        slow = calcium.slow_changes(world.timeline, len(rois), rng)
        cell_light, neuropil_light = calcium.fluorescence(signal, optics, rois, neuropil, slow, rng)
        light[:, rows], around[:, rows] = cell_light.T, neuropil_light.T
    return light, around


def _damage_frames(
    light: np.ndarray, around: np.ndarray, high_signal: bool, rng: np.random.Generator
) -> np.ndarray:
    """Switch the detector off for a moment, flood it for others; frame QC ``(T,)`` uint32."""
    n_frames = len(light)
    frame_qc = np.full(n_frames, QC_OK, dtype=np.uint32)
    first = int(n_frames * rng.uniform(0.2, 0.7))
    dark = slice(first, first + rng.integers(4, 9))
    frame_qc[dark] = QC_PMT_OFF
    for trace in (light, around):
        trace[dark] = 20 + rng.normal(0, 15, trace[dark].shape)
    for _ in range(2 * high_signal):
        first = int(n_frames * rng.uniform(0.05, 0.95))
        flooded = np.arange(first, min(first + rng.integers(2, 5), n_frames))
        flooded = flooded[frame_qc[flooded] == QC_OK]
        frame_qc[flooded] = QC_HIGH_SIGNAL
        factor = np.float32(rng.uniform(2, 4))
        light[flooded] *= factor
        around[flooded] *= factor
    return frame_qc


def _spoil_rois(
    light: np.ndarray,
    around: np.ndarray,
    fov: FieldOfView,
    index: int,
    n_fovs: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Make a cell in 200 constant (even FOVs) or negative (odd FOVs; both in a single one)."""
    cells = rng.permutation(np.flatnonzero(fov.is_cell))
    n = 1 + len(cells) // 200
    constant = cells[:n] if index % 2 == 0 else cells[:0]
    negative = cells[n : 2 * n] if index % 2 == 1 or n_fovs == 1 else cells[:0]
    light[:, constant] = around[:, constant] = around[:, constant].mean(0)
    light[:, negative] -= 2 * light[:, negative].mean(0)
    return constant, negative


def _deconvolve(
    light: np.ndarray,
    around: np.ndarray,
    frame_qc: np.ndarray,
    indicator: str,
    advance: Callable[[int], object],
) -> np.ndarray:
    """Events ``(T, N)`` as suite2p finds them; with the detector off the last value is held."""
    last_seen = np.maximum.accumulate(np.where(frame_qc != QC_PMT_OFF, np.arange(len(frame_qc)), 0))
    events = np.empty_like(light)
    tau = calcium.INDICATORS[indicator]
    for rows in _blocks(light.shape[1]):
        corrected = light[:, rows] - np.float32(NEUROPIL_COEFFICIENT) * around[:, rows]
        corrected = corrected[last_seen]
        corrected -= maximin_baseline(corrected, FRAME_RATE)
        events[:, rows] = deconvolve_ar1(corrected, tau, FRAME_RATE)
        advance(corrected.shape[1])
    return events


def _lost_frames(index: int) -> int:
    """Frames that a FOV lacks at its end: the first has all, the second stops 6 s early."""
    return (0, 31)[index] if index < 2 else 1


def _blocks(n: int) -> list[slice]:
    return [slice(first, min(first + BLOCK, n)) for first in range(0, n, BLOCK)]


def _whole_frames(timeline: Timeline) -> int:
    return timeline.n_fine // STEPS_PER_FRAME * STEPS_PER_FRAME


def _per_frame(fine: np.ndarray) -> np.ndarray:
    """``(n, n_fine)`` -> ``(n, T_all, 4)``."""
    whole = fine.shape[1] // STEPS_PER_FRAME * STEPS_PER_FRAME
    return fine[:, :whole].reshape(len(fine), -1, STEPS_PER_FRAME)
