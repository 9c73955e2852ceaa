"""When frames are taken: two imaging bouts (task, passive) with a gap between them.

Activity is simulated on a fine clock of four steps per frame that runs through the gap as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FRAME_RATE = 5.07538  # Hz, an eight-FOV recording of the mesoscope
LINE_PERIOD = 41.6e-6  # s per scan line
FOV_DELAY = 24.3e-3  # s between the starts of consecutive FOVs
STEPS_PER_FRAME = 4
FINE_STEP = 1 / FRAME_RATE / STEPS_PER_FRAME  # s
IMAGING_START = 10.0  # s on the session clock; before it the activity settles


@dataclass(frozen=True)
class Timeline:
    """Clock of one session; ``bouts`` are (first fine step, number of frames)."""

    bouts: tuple[tuple[int, int], tuple[int, int]]
    n_fine: int

    @property
    def fine_times(self) -> np.ndarray:
        """Start of each fine step, seconds on the session clock, ``(n_fine,)``."""
        return np.arange(self.n_fine) * FINE_STEP

    @property
    def frame_steps(self) -> np.ndarray:
        """Fine step at which each volume starts, ``(T,)``."""
        runs = [first + STEPS_PER_FRAME * np.arange(n) for first, n in self.bouts]
        return np.concatenate(runs)

    @property
    def task(self) -> tuple[float, float]:
        """Start and end of the task's imaging bout, s."""
        return self._bout_times(0)

    @property
    def passive(self) -> tuple[float, float]:
        """Start and end of the passive bout, s."""
        return self._bout_times(1)

    def _bout_times(self, which: int) -> tuple[float, float]:
        first, n_frames = self.bouts[which]
        return first * FINE_STEP, (first + STEPS_PER_FRAME * n_frames) * FINE_STEP


def make_timeline(minutes: float | None, n_frames: int | None, seed: int) -> Timeline:
    """Timeline of a recording of ``minutes``, gap included, or of ``n_frames`` volumes.

    The passive bout is 10 % of it, at least 1 min. The gap lasts 75 to 120 s.
    """
    gap = np.random.default_rng([seed, 0]).uniform(75, 120)
    if n_frames is None:
        n_frames = int((minutes * 60 - gap) * FRAME_RATE)
    recording = gap + n_frames / FRAME_RATE
    n_passive = int(max(60.0, 0.1 * recording) * FRAME_RATE)
    n_task = n_frames - n_passive
    start = int(IMAGING_START / FINE_STEP)
    passive_start = start + n_task * STEPS_PER_FRAME + int(gap / FINE_STEP)
    # the last FOV and scan line are read up to one frame after the volume's start
    n_fine = passive_start + (n_passive + 2) * STEPS_PER_FRAME
    return Timeline(((start, n_task), (passive_start, n_passive)), n_fine)
