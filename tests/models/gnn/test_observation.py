"""States of traces: memories, and the activity behind an indicator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from utils.models.gnn.observation import Observation

RATE, DECAY = 5.0, 1.5


def observation(context: int = 400, indicator: float = DECAY, smoothing: float = 0.8):
    return Observation.of(context, RATE, 4, smoothing, indicator)


def calcium(n_frames: int = 480):
    """Drive of three neurons and the trace of an indicator that follows it."""
    drive = np.random.default_rng(0).standard_normal((n_frames, 3))
    left = np.exp(-1 / (DECAY * RATE))
    trace = lfilter([1 - left], [1, -left], drive, axis=0)
    return torch.from_numpy(drive).float(), torch.from_numpy(trace).float()


def test_activity_is_the_average_drive_behind_the_indicator():
    drive, trace = calcium()
    found = observation().state(trace[None, :400]).activity[0]
    left = np.exp(-1 / (0.8 * RATE))
    expected = lfilter([1 - left], [1, -left], drive[:400].numpy(), axis=0)[-1]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_without_an_indicator_the_trace_is_the_activity():
    trace = torch.full((1, 400, 2), 3.0)
    state = observation(indicator=0.0).state(trace)
    torch.testing.assert_close(state.activity, torch.full((1, 2), 3.0))


def test_memories_run_from_the_last_frame_to_half_the_context():
    one = observation(context=40)
    assert one.memory_weights.shape == (40, 4)
    torch.testing.assert_close(one.memory_weights.sum(dim=0), torch.ones(4))
    assert one.memory_weights[-1, 0] == 1
    ages = torch.arange(39, -1, -1.0) @ one.memory_weights
    assert (ages.diff() > 0).all()


def test_the_next_state_is_that_of_a_window_one_frame_on():
    trace = calcium()[1]
    one = observation()
    state = one.state(trace[None, :400])
    for frame in range(400, 410):
        state = one.next(state, trace[None, frame])
    expected = one.state(trace[None, 10:410])
    torch.testing.assert_close(state.trace, expected.trace)
    torch.testing.assert_close(state.activity, expected.activity, atol=1e-4, rtol=0)
    short = slice(0, 3)  # the longest memory reaches back before the window
    torch.testing.assert_close(
        state.memories[..., short], expected.memories[..., short], atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("context", [1, 2])
def test_short_contexts_have_states(context):
    state = observation(context=context).state(torch.ones(2, context, 3))
    assert all(torch.isfinite(part).all() for part in state)
    torch.testing.assert_close(state.trace, torch.ones(2, 3))
