"""Hidden causes of the activity: fluctuations of the brain, and what events do to it.

Twelve fluctuations are shared by all cells. Each area has four more, one per time constant,
and areas drive one another with a delay: ``area_coupling[to, from]`` is the ground truth that
connectivity methods may look for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from utils.simulation.anatomy import AREA_NAMES
from utils.simulation.behaviour import Behaviour, ornstein_uhlenbeck
from utils.simulation.timeline import FINE_STEP, Timeline

SHARED_TAUS = np.geomspace(0.3, 30.0, 12)  # s
AREA_TAUS = np.array([0.5, 1.5, 4.0, 12.0])  # s
COUPLING_DELAY = 2  # fine steps, about 0.1 s
EVENTS = ("wheel", "movement", "lick", "reward", "error", "arousal")
# mean log-rate change of one standard deviation of each event, for groups of areas
EVENT_MEANS = {
    "VIS": (0.05, 0.0, 0.0, 0.0, 0.0, 0.15),
    "RSP": (0.10, 0.15, 0.0, 0.45, -0.15, 0.15),
    "SSp": (0.20, 0.15, 0.15, 0.05, 0.0, 0.15),
    "MO": (0.20, 0.25, 0.20, 0.10, 0.05, 0.15),
}
EVENT_SPREAD = 0.12  # standard deviation over cells


@dataclass(frozen=True)
class Latents:
    """Latent series of unit variance on the fine clock, float32."""

    shared: np.ndarray  # (12, n_fine)
    area: np.ndarray  # (area, 4, n_fine)
    events: np.ndarray  # (event, n_fine)
    area_coupling: np.ndarray  # (to, from)


def simulate_latents(timeline: Timeline, behaviour: Behaviour, rng: np.random.Generator) -> Latents:
    """Draw all latents of one session."""
    shared = [ornstein_uhlenbeck(tau, timeline.n_fine, rng) for tau in SHARED_TAUS]
    coupling = draw_coupling(rng)
    return Latents(
        shared=np.stack(shared),
        area=_coupled_latents(coupling, timeline.n_fine, rng),
        events=_event_series(timeline, behaviour),
        area_coupling=coupling,
    )


def draw_coupling(rng: np.random.Generator) -> np.ndarray:
    """Sparse directed weights between areas, ``(to, from)``: each area hears two others.

    A weight is the change of the target per unit of a constant source; the spectral radius is
    held at 0.6, so that the activity is stable.
    """
    n_areas = len(AREA_NAMES)
    coupling = np.zeros((n_areas, n_areas))
    for target in range(n_areas):
        others = np.delete(np.arange(n_areas), target)
        sources = rng.choice(others, 2, replace=False)
        coupling[target, sources] = rng.choice([1, 1, 1, -1], 2) * rng.uniform(0.4, 0.8, 2)
    radius = np.abs(np.linalg.eigvals(coupling)).max()
    return coupling * min(1.0, 0.6 / radius)


def _coupled_latents(coupling: np.ndarray, n_fine: int, rng: np.random.Generator) -> np.ndarray:
    decay = np.exp(-FINE_STEP / AREA_TAUS).astype(np.float32)
    noise = rng.standard_normal((n_fine, len(coupling), len(AREA_TAUS)), dtype=np.float32)
    noise *= np.sqrt(1 - decay**2)
    weights = coupling.astype(np.float32)
    latents = noise  # filled in place: step k holds noise until it is reached
    for step in range(COUPLING_DELAY + 1, n_fine):
        drive = weights @ latents[step - 1 - COUPLING_DELAY]
        latents[step] += decay * latents[step - 1] + (1 - decay) * drive
    # one factor for all areas keeps the coupling weights as they are
    latents /= latents.std()
    return np.ascontiguousarray(latents.transpose(1, 2, 0))


def _event_series(timeline: Timeline, behaviour: Behaviour) -> np.ndarray:
    times = timeline.fine_times
    trials = behaviour.trials
    rewarded = (trials["feedbackType"] == 1).to_numpy()
    feedback = trials["feedback_times"].to_numpy()
    series = {
        "wheel": _smear(behaviour.wheel_speed(times), 0.15),
        "movement": _smear(_count(behaviour.movements["start"], times), 0.3),
        "lick": _smear(_count(behaviour.licks, times), 0.2),
        "reward": _smear(_count(feedback[rewarded], times), 0.8),
        "error": _smear(_count(feedback[~rewarded], times), 0.8),
        "arousal": behaviour.arousal,
    }
    stacked = np.stack([series[name] for name in EVENTS])
    stacked /= stacked.std(1, keepdims=True) + 1e-9
    # medians, not means: at rest an event does nothing
    return (stacked - np.median(stacked, 1, keepdims=True)).astype(np.float32)


def _count(events: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Number of events in each fine step."""
    which = np.searchsorted(times, events, side="right") - 1
    return np.bincount(which, minlength=len(times)).astype(float)


def _smear(series: np.ndarray, tau: float) -> np.ndarray:
    """Causal exponential average."""
    decay = np.exp(-FINE_STEP / tau)
    return lfilter([1 - decay], [1, -decay], series)
