"""What a trace says about the activity behind it: its memories, and the indicator removed.

An indicator adds activity up and lets it decay, so a calcium trace lags behind what it reports. The
inverse, ``(y[t] - a y[t-1]) / (1 - a)``, needs no future, and is noisy; an exponential average
makes it an activity that other neurons may hear. Beside it a trace has memories, exponential
averages from its last frame to half the context, from which its own future is told. Both follow
the trace from frame to frame, be it measured or forecast.
"""

from __future__ import annotations

from math import exp
from typing import NamedTuple, Self

import torch
from torch import Tensor

SHORTEST = 0.5  # frames, of a memory beside the trace: two frames that share noise differ in it


class State(NamedTuple):
    """All neurons at one frame."""

    trace: Tensor  # (batch, neuron)
    memories: Tensor  # (batch, neuron, memory), the first one is the trace
    activity: Tensor  # (batch, neuron), the indicator removed, averaged


class Observation(NamedTuple):
    """From traces to states, and from a state to that of the next frame."""

    memory_weights: Tensor  # (context, memory)
    memory_gains: Tensor  # (memory,), part of a new frame in each memory
    activity_weights: Tensor  # (context,)
    activity_gain: float
    decay: float  # what is left of the indicator after a frame; 0: the trace is the activity

    @classmethod
    def of(
        cls, context: int, frame_rate: float, n_memories: int, smoothing: float, indicator: float
    ) -> Self:
        """For windows with a past of ``context`` frames.

        Parameters
        ----------
        smoothing : time constant of the activity's average, s.
        indicator : decay time of the indicator, s; 0 for deconvolved activity.
        """
        longest = max(context / 2, SHORTEST)
        frames = torch.logspace(0, 1, n_memories - 1, base=longest / SHORTEST, dtype=torch.float64)
        gains = torch.cat([torch.ones(1), 1 - torch.exp(-1 / (SHORTEST * frames))])
        gain = 1 - exp(-1 / (smoothing * frame_rate))
        decay = exp(-1 / (indicator * frame_rate)) if indicator else 0.0
        return cls(
            memory_weights=_average(context, gains).float(),
            memory_gains=gains.float(),
            activity_weights=_activity_weights(context, gain, decay).float(),
            activity_gain=gain,
            decay=decay,
        )

    def state(self, past: Tensor) -> State:
        """At the last frame of windows (batch, context, neuron) without missing values."""
        memories = torch.einsum("bln,lm->bnm", past, self.memory_weights.to(past.device))
        activity = torch.einsum("bln,l->bn", past, self.activity_weights.to(past.device))
        return State(past[:, -1], memories, activity)

    def next(self, state: State, trace: Tensor) -> State:
        """One frame later, where the trace is ``trace`` (batch, neuron)."""
        gains = self.memory_gains.to(trace.device)
        memories = state.memories + gains * (trace[..., None] - state.memories)
        drive = (trace - self.decay * state.trace) / (1 - self.decay)
        activity = state.activity + self.activity_gain * (drive - state.activity)
        return State(trace, memories, activity)


def _activity_weights(context: int, gain: float, decay: float) -> Tensor:
    """Average of the indicator's inverse, from the second frame on: the first has none before."""
    if context == 1:
        return torch.ones(1)
    averaged = _average(context - 1, torch.tensor([gain], dtype=torch.float64))[:, 0]
    averaged = torch.nn.functional.pad(averaged, (1, 0))
    return (averaged - decay * averaged.roll(-1)) / (1 - decay)


def _average(n_frames: int, gains: Tensor) -> Tensor:
    """Weights (frame, average) of exponential averages, the last frame the heaviest."""
    age = torch.arange(n_frames - 1, -1, -1, dtype=gains.dtype)[:, None]
    weights = (1 - gains) ** age
    return weights / weights.sum(dim=0)
