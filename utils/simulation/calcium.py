"""From spikes to fluorescence as suite2p would report it: F, Fneu and deconvolved activity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter
from scipy.special import ndtri

from utils.simulation.behaviour import ornstein_uhlenbeck
from utils.simulation.latents import Latents
from utils.simulation.timeline import FINE_STEP, STEPS_PER_FRAME, Timeline

INDICATORS = {"GCaMP6s": 1.5, "GCaMP6m": 1.0, "GCaMP6f": 0.7}  # decay, s
RISE = 0.09  # s
SATURATION = 10.0  # largest dF/F
AMPLITUDE, AMPLITUDE_SPREAD = 0.95, 0.9  # dF/F of one spike: median, sigma of the lognormal
TRADE_OFF = 0.42  # exponent of the brightness by which dF/F shrinks
BRIGHTNESS, BRIGHTNESS_SPREAD = 370.0, 0.8  # F0 of a cell, detector units
OTHER_BRIGHTNESS = 150.0  # F0 of an ROI that is no cell
NEUROPIL, NEUROPIL_SPREAD = 1060.0, 0.48
NEUROPIL_MODULATION = 0.05
CONTAMINATION, CONTAMINATION_SPREAD = 0.7, 0.08
BLEACHING, DRIFT, DRIFT_TAU = 0.06, 0.03, 300.0
SHOT_GAIN, READ_NOISE = 4.5, 45.0
_COARSE = 10 * STEPS_PER_FRAME  # fine steps between the values of the drift
NEUROPIL_GAIN = 1.5  # its mask has many pixels: less shot noise


@dataclass(frozen=True)
class Optics:
    """How the ROIs of one FOV are seen, one entry per ROI."""

    brightness: np.ndarray  # (N,) F0
    neuropil: np.ndarray  # (N,) mean Fneu
    contamination: np.ndarray  # (N,) part of Fneu in F
    amplitude: np.ndarray  # (N,) dF/F of one spike; of a fragment: its part of the cell's dF/F
    neuropil_weights: np.ndarray  # (N, 3)


def draw_optics(is_cell: np.ndarray, rng: np.random.Generator) -> Optics:
    """Draw the optical properties of the ROIs of a FOV."""
    n = len(is_cell)
    brightness, amplitude = np.empty(n), np.empty(n)
    for kind, median in ((is_cell, BRIGHTNESS), (~is_cell, OTHER_BRIGHTNESS)):
        brightness[kind] = median * even_lognormal(BRIGHTNESS_SPREAD, kind.sum(), rng)
    amplitude[is_cell] = AMPLITUDE * even_lognormal(AMPLITUDE_SPREAD, is_cell.sum(), rng)
    # a bright baseline leaves less room for dF/F
    amplitude[is_cell] *= (brightness[is_cell] / BRIGHTNESS) ** -TRADE_OFF
    amplitude[~is_cell] = rng.uniform(0.05, 0.35, (~is_cell).sum())
    weights = np.abs(rng.standard_normal((n, 3))) + 0.3
    return Optics(
        brightness=brightness,
        neuropil=NEUROPIL * even_lognormal(NEUROPIL_SPREAD, n, rng),
        contamination=np.clip(rng.normal(CONTAMINATION, CONTAMINATION_SPREAD, n), 0.3, 1.0),
        amplitude=amplitude,
        neuropil_weights=weights / np.linalg.norm(weights, axis=1, keepdims=True),
    )


def even_lognormal(spread: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Lognormal numbers of median 1, one from each of ``n`` equally likely intervals, shuffled.

    So a small session has the spread of a large one.
    """
    quantiles = (rng.permutation(n) + rng.random(n)) / n
    return np.exp(spread * ndtri(quantiles))


def calcium_response(spikes: np.ndarray, tau: float) -> np.ndarray:
    """Spike counts ``(n, n_fine)`` convolved with exp(-t/tau) (1 - exp(-t/rise)), float32."""
    slow = np.exp(-FINE_STEP / tau)
    fast = slow * np.exp(-FINE_STEP / RISE)
    numerator = np.array([0, slow - fast], np.float32)
    denominator = np.array([1, -(slow + fast), slow * fast], np.float32)
    return lfilter(numerator, denominator, spikes.astype(np.float32))


def sample_frames(series: np.ndarray, frame_steps: np.ndarray, delay: np.ndarray) -> np.ndarray:
    """Values of ``(n, n_fine)`` at the time each ROI is scanned, ``(n, T)``.

    ``delay`` is the ROI's delay after the volume's start in fine steps, ``(n,)``.
    """
    whole = np.floor(delay).astype(int)
    part = (delay - whole).astype(np.float32)
    sampled = np.empty((len(series), len(frame_steps)), dtype=np.float32)
    for row in range(len(series)):
        at = frame_steps + whole[row]
        sampled[row] = (1 - part[row]) * series[row, at] + part[row] * series[row, at + 1]
    return sampled


def saturate(dff: np.ndarray) -> np.ndarray:
    """The indicator's saturation: increments shrink as dF/F grows."""
    return dff / (1 + dff / SATURATION)


def neuropil_signals(latents: Latents, tau: float, frame_steps: np.ndarray) -> np.ndarray:
    """Three series of unit variance that the neuropil of a FOV follows, ``(3, T)`` float32."""
    arousal = latents.events[-1]
    sources = np.stack([arousal, latents.shared[4:8].sum(0), latents.shared[8:].sum(0)])
    smooth = calcium_response(sources, tau)[:, frame_steps]
    return (smooth - smooth.mean(1, keepdims=True)) / smooth.std(1, keepdims=True)


def slow_changes(timeline: Timeline, n: int, rng: np.random.Generator) -> np.ndarray:
    """Bleaching and focus drift, a factor around 1 for each ROI, ``(n, T)`` float32."""
    steps = timeline.frame_steps
    bleaching = 1 - BLEACHING * (1 - np.exp(-3 * steps / steps[-1]))
    # a drift of minutes needs one value every few seconds
    coarse = np.arange(0, steps[-1] + 2 * _COARSE, _COARSE)
    noise = ornstein_uhlenbeck(DRIFT_TAU / _COARSE, (n, len(coarse)), rng)
    position = steps / _COARSE
    left = position.astype(int)
    part = (position - left).astype(np.float32)
    drift = noise[:, left] * (1 - part) + noise[:, left + 1] * part
    return (1 + np.float32(DRIFT) * drift) * bleaching.astype(np.float32)


def fluorescence(
    dff: np.ndarray,
    optics: Optics,
    rows: np.ndarray,
    neuropil: np.ndarray,
    slow: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """F and Fneu of ``rows``, ``(n, T)`` float32 in detector units.

    ``dff (n, T)`` is the saturated dF/F, ``neuropil (3, T)`` the FOV's neuropil signals and
    ``slow (n, T)`` bleaching and drift.
    """
    column = {name: value[rows].astype(np.float32) for name, value in vars(optics).items()}
    around = column["neuropil_weights"] @ neuropil
    around = column["neuropil"][:, None] * (1 + np.float32(NEUROPIL_MODULATION) * around) * slow
    np.maximum(around, 0, out=around)
    cell = column["brightness"][:, None] * (1 + dff) * slow
    cell += column["contamination"][:, None] * around
    around += _noise(around, NEUROPIL_GAIN, 0.0, rng)
    cell += _noise(cell, SHOT_GAIN, READ_NOISE, rng)
    return cell, around


def _noise(
    light: np.ndarray, gain: float, read_noise: float, rng: np.random.Generator
) -> np.ndarray:
    """Shot noise, whose variance grows with the light, and read noise."""
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    noise *= np.sqrt(np.float32(gain) * light + np.float32(read_noise**2))
    return noise
