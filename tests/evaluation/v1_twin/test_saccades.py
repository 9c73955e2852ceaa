"""Saccade kernels of data and twin, with and without behaviour, against those put in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.evaluation.v1_twin.conftest import N_LAGS, SIDE, known_rates, record
from utils.evaluation.v1_twin.predict import rates_of, twin_predict, without_behavior
from utils.evaluation.v1_twin.recovery import kernel_correlation
from utils.evaluation.v1_twin.saccades import saccade_onsets, saccade_responses

WEIGHTS = np.array([1.0, 0.5, -0.6])


def true_kernel(lags_s):
    dip = -0.35 * np.exp(-(((lags_s - 0.04) / 0.015) ** 2))
    return np.where(lags_s >= 0, dip + 0.45 * np.exp(-(((lags_s - 0.095) / 0.02) ** 2)), 0)


@pytest.fixture(scope="module")
def world():
    """A recording with jumps of the gaze, and the rates of its cells with and without saccades."""
    rng = np.random.default_rng(0)
    onsets = np.cumsum(rng.integers(20, 60, 480))
    n_bins = int(onsets[-1]) + 60
    change = np.convolve(np.bincount(onsets, minlength=n_bins), true_kernel(np.arange(36) / 120))
    visual = rng.gamma(4, 0.25, (n_bins // 10, 3)).repeat(10, axis=0)
    rates = visual * (1 + change[: len(visual), None] * WEIGHTS)
    onsets = onsets[onsets < len(visual)]
    place = np.zeros((len(visual), 2))
    place[onsets] = rng.uniform(1, 2, (len(onsets), 2)) * rng.choice([-1, 1], (len(onsets), 2))
    gaze = place.cumsum(axis=0) + 0.01 * rng.standard_normal(place.shape)
    stimulus = np.zeros((len(visual), 1, 1), np.uint8)
    return record(stimulus, rates, eyepos=gaze), 0.5 * rates, 0.5 * visual, onsets


def test_the_gap_between_twins_has_the_kernel_of_the_truth(world):
    recording, rates, visual, onsets = world
    found = saccade_responses(recording, rates, visual, onsets)
    assert found.lags_s[[0, -1]] == pytest.approx([-0.1, 0.3])
    assert len(found.lags_s) == 49
    truth = true_kernel(found.lags_s)[:, None] * WEIGHTS
    np.testing.assert_allclose(found.kernel, truth, atol=0.01)
    assert (kernel_correlation(found.gap, truth) > 0.9).all()
    np.testing.assert_allclose(found.gap, found.model - found.ablated)
    assert found.n_saccades == len(onsets)


def test_data_and_model_are_averaged_over_the_same_bins(world):
    recording, rates, visual, onsets = world
    rates = rates.copy()
    rates[recording.n_bins // 2 :] = np.nan
    found = saccade_responses(recording, rates, visual, onsets)
    half = saccade_responses(
        recording, np.nan_to_num(rates), visual, onsets, np.isfinite(rates[:, 0])
    )
    np.testing.assert_allclose(found.data, half.data)
    np.testing.assert_allclose(found.model, half.model)
    assert (kernel_correlation(found.data, found.model) > 0.5).all()


def test_onsets_are_detected_where_they_are_not_given(world):
    recording, rates, visual, onsets = world
    detected = saccade_onsets(recording)
    assert len(detected) == len(onsets)
    assert np.abs(detected - onsets).max() <= 1
    found = saccade_responses(recording, rates, visual)
    truth = true_kernel(found.lags_s)[:, None] * WEIGHTS
    assert (kernel_correlation(found.kernel, truth) > 0.85).all()  # a bin costs a little


def test_without_gaze_or_saccades_it_is_said(world):
    recording, rates, visual, _ = world
    blind = record(np.zeros((len(rates), 1, 1), np.uint8), rates)
    with pytest.raises(ValueError, match="recording known has no eyepos; give the onsets"):
        saccade_responses(blind, rates, visual)
    found = saccade_responses(recording, rates, visual, onsets=[])
    assert np.isnan(found.data).all()
    assert np.isnan(found.kernel).all()
    assert found.n_saccades == 0


def test_ablation_gives_each_sequence_the_behaviour_of_another():
    stimulus = torch.randn(5, N_LAGS + 3, SIDE, SIDE, generator=torch.manual_seed(0))
    behavior = torch.arange(5.0)[:, None, None].expand(5, N_LAGS + 3, 1)
    ablated = without_behavior(known_rates)(stimulus, behavior)
    others = torch.tensor([3.0, 4, 0, 1, 2])[:, None, None].expand_as(behavior)
    torch.testing.assert_close(ablated, known_rates(stimulus, others))
    for batch, found in ((behavior[:1], "1"), (None, "none")):
        with pytest.raises(ValueError, match=f"at least 2 sequences; found {found}"):
            without_behavior(known_rates)(stimulus[:1], batch)


def test_rates_come_in_pieces_of_any_size():
    stimulus = np.random.default_rng(0).integers(0, 255, (7, N_LAGS + 2, SIDE, SIDE), np.uint8)
    behavior = np.array([0.3])
    pieces = rates_of(known_rates, stimulus, behavior, batch_size=3)
    np.testing.assert_allclose(pieces, rates_of(known_rates, stimulus, behavior, 100), rtol=1e-6)
    np.testing.assert_allclose(pieces, 1.3 * rates_of(known_rates, stimulus), rtol=1e-6)


def test_a_twin_is_seen_through_its_rates_in_evaluation_mode():
    class Twin(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(2.0))

        def forward(self, dataset, stimulus, behavior):
            assert not self.training
            return self.scale * stimulus.sum(dim=(2, 3))[..., None] + len(dataset)

    rates = twin_predict(Twin().train(), "abc")(torch.ones(2, 4, 3, 3), None)
    torch.testing.assert_close(rates, torch.full((2, 4, 1), 21.0))
