"""The simulated mouse behaves like one: psychometric, wheel, licks, pupil, noise."""

from __future__ import annotations

import numpy as np
import pytest

from utils.simulation.behaviour import (
    ENCODER_STEP,
    THRESHOLD,
    Behaviour,
    ornstein_uhlenbeck,
    simulate_behaviour,
)
from utils.simulation.timeline import FINE_STEP, Timeline, make_timeline


@pytest.fixture(scope="module")
def timeline() -> Timeline:
    return make_timeline(62, None, 0)


@pytest.fixture(scope="module")
def behaviour(timeline: Timeline) -> Behaviour:
    return simulate_behaviour(timeline, np.random.default_rng(0))


def test_trials_come_in_order_at_the_pace_of_real_ones(timeline: Timeline, behaviour: Behaviour):
    trials = behaviour.trials
    order = ["intervals_0", "stimOn_times", "goCue_times", "firstMovement_times"]
    order += ["response_times", "feedback_times", "stimOff_times", "intervals_1"]
    assert (np.diff(trials[order].to_numpy(), axis=1) > 0).all()
    assert (trials["intervals_0"].to_numpy()[1:] > trials["intervals_1"].to_numpy()[:-1]).all()
    start, stop = timeline.task
    assert start < trials["intervals_0"].min()
    assert trials["intervals_1"].max() < stop
    assert 8 < len(trials) / ((stop - start) / 60) < 11


def test_choices_improve_with_contrast(behaviour: Behaviour):
    trials = behaviour.trials
    contrast = trials["contrastLeft"].fillna(trials["contrastRight"])
    correct = (trials["feedbackType"] == 1).groupby(contrast).mean()
    assert correct[1.0] > 0.88
    assert correct[1.0] > correct[0.25] > correct[0.0625]
    assert 0.3 < correct[0.0] < 0.75


def test_blocks_follow_ninety_unbiased_trials(behaviour: Behaviour):
    probability = behaviour.trials["probabilityLeft"]
    assert (probability[:90] == 0.5).all()
    assert set(probability[90:]) == {0.2, 0.8}
    left = behaviour.trials["contrastLeft"].notna()
    assert left[probability == 0.8].mean() > 0.7 > 0.3 > left[probability == 0.2].mean()


def test_wheel_turns_in_the_direction_of_the_choice(behaviour: Behaviour):
    trials = behaviour.trials
    when = trials[["stimOn_times", "response_times"]].to_numpy() + [0, 0.05]
    position = np.interp(when, behaviour.wheel_times, behaviour.wheel_position)
    turned = np.diff(position, axis=1)[:, 0]
    assert (np.sign(turned) == trials["choice"]).all()
    assert np.abs(turned).min() > 0.9 * THRESHOLD


def test_wheel_is_sampled_where_it_moves(behaviour: Behaviour):
    steps = np.diff(behaviour.wheel_times)
    assert (steps > 0).all()
    assert steps.max() > 50 * np.median(steps)
    ticks = np.diff(behaviour.wheel_position) / ENCODER_STEP
    np.testing.assert_allclose(ticks, np.round(ticks), atol=1e-6)


def test_licks_follow_rewards(behaviour: Behaviour):
    trials = behaviour.trials
    after = [
        ((behaviour.licks > time) & (behaviour.licks < time + 1)).sum()
        for time in trials["feedback_times"]
    ]
    rewarded = (trials["feedbackType"] == 1).to_numpy()
    assert np.mean(np.array(after)[rewarded]) > 4
    assert np.mean(np.array(after)[~rewarded]) < 0.5


def test_noise_is_balanced_and_rare(behaviour: Behaviour):
    frames = behaviour.noise_frames
    assert (frames == 128).mean() == pytest.approx(0.94, abs=0.01)
    assert (frames == 0).mean() == pytest.approx((frames == 255).mean(), abs=0.005)


@pytest.mark.parametrize("tau", [0.3, 5.0])
def test_fluctuations_have_unit_variance_and_their_time_constant(tau: float):
    noise = ornstein_uhlenbeck(tau, (20, 40_000), np.random.default_rng(0))
    assert noise.dtype == np.float32
    assert noise.std() == pytest.approx(1, abs=0.08)
    assert noise[:, 0].std() == pytest.approx(1, abs=0.4)  # steady from the first sample on
    lag = int(tau / FINE_STEP)
    decay = (noise[:, lag:] * noise[:, :-lag]).mean() / noise.var()
    assert decay == pytest.approx(np.exp(-1), abs=0.08)
