"""Scores of the truth, of the mean rate and of others on a recording whose rates are known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.evaluation.v1_twin.worlds import N_LAGS, REPEATS, TRIAL, known_dataset, known_recording
from utils.evaluation.v1_twin.rates import by_repeat, predict_rates, repeated_types
from utils.evaluation.v1_twin.scores import find_truth, score_cells, score_types, true_rates
from utils.metrics import bits_per_spike, mean_rates
from utils.splits import TEST, TRAIN, VALIDATION


@pytest.fixture(scope="module")
def world():
    recording, truth = known_recording()
    return known_dataset(recording), truth, recording


def test_each_bin_is_predicted_once_and_in_its_place(world):
    dataset, *_ = world
    for n_bins in (7, 120):
        rates = predict_rates(
            lambda sequences: sequences.responses[:, -sequences.mask.shape[1] :],
            dataset,
            labels=[TEST],
            sequence_bins=n_bins,
        )
        predicted = np.isfinite(rates).all(axis=1)
        np.testing.assert_array_equal(predicted, dataset.counted(TEST).any(axis=1))
        np.testing.assert_array_equal(rates[predicted], dataset.responses[predicted])
    late = np.arange(len(rates)) % TRIAL >= N_LAGS - 1
    assert not predicted[~late].any()


def test_repeats_lie_above_one_another(world):
    dataset, *_ = world
    assert repeated_types(dataset) == ["movie"]
    together = by_repeat(dataset.responses, dataset, "movie", dataset.counts)
    assert together.shape == (REPEATS, TRIAL - N_LAGS + 1, 4)
    movie = np.asarray(dataset.responses, float)[-REPEATS * TRIAL :].reshape(REPEATS, TRIAL, 4)
    np.testing.assert_array_equal(together, movie[:, N_LAGS - 1 :])


def test_a_movie_can_start_again_within_a_trial_and_miss_bins():
    recording, _ = known_recording(n_trials=6)
    recording["trial_inds"] = np.minimum(recording["trial_inds"], 6)  # all repeats are one trial
    valid = np.ones((len(recording["robs"]), 4), bool)
    valid[-5:, 2] = False
    valid[-TRIAL - 3] = False
    dataset = known_dataset(recording, {"valid": valid})
    together = by_repeat(dataset.responses, dataset, "movie", dataset.valid)
    assert together.shape == (REPEATS, TRIAL, 4)
    assert np.argwhere(np.isnan(together[:, :, 2])).tolist() == [
        [REPEATS - 2, TRIAL - 3],
        *([REPEATS - 1, TRIAL - 5 + k] for k in range(5)),
    ]
    assert by_repeat(dataset.responses, dataset, "noise", dataset.valid).shape[0] == 0


def test_the_truth_scores_the_oracle_and_the_mean_rate_nothing(world):
    dataset, truth, _ = world
    mean = mean_rates(dataset.responses, dataset.counted(TRAIN))
    flat = np.broadcast_to(mean, dataset.responses.shape)
    scores = score_cells(dataset, truth.rates, {"mean": flat}, truth)
    assert scores.index.names == ["dataset", "cell"]
    assert scores.loc["known"].index.tolist() == [10, 11, 12, 13]
    np.testing.assert_allclose(scores["mean"], 0, atol=1e-12)
    np.testing.assert_allclose(scores["bits_per_spike"], scores["oracle"], atol=0.25)
    np.testing.assert_array_equal(
        scores["fraction_of_oracle"], scores["bits_per_spike"] / scores["oracle"]
    )
    assert scores["oracle"].iloc[:3].min() > 0.1
    assert (scores["vision_oracle"] <= scores["oracle"] + 1e-9).all()
    assert scores["vision_oracle"].iloc[0] == pytest.approx(scores["oracle"].iloc[0])
    test_spikes = np.asarray(dataset.responses)[dataset.counted(TEST)[:, 0]].sum(axis=0)
    np.testing.assert_array_equal(scores["n_spikes"], test_spikes)


def test_only_test_bins_and_the_mean_of_training_count(world):
    dataset, truth, recording = world
    spoilt = np.where(dataset.counted(TEST), truth.rates, 1e3)
    np.testing.assert_array_equal(
        score_cells(dataset, spoilt, {}), score_cells(dataset, truth.rates, {})
    )
    changed = np.where(dataset.counted(VALIDATION), 0, recording["robs"])
    again = known_dataset(recording, {"robs": changed.astype(np.uint8)})
    found = score_cells(again, truth.rates, {})["bits_per_spike"]
    mask = dataset.counted(TEST)
    mean = mean_rates(recording["robs"], dataset.counted(TRAIN))
    np.testing.assert_allclose(found, bits_per_spike(recording["robs"], truth.rates, mean, mask))


def test_scores_by_type_and_of_repeats(world):
    dataset, truth, _ = world
    scores = score_types(dataset, truth.rates, truth).loc["known"]
    assert set(scores.index.get_level_values("type")) == {"noise", "movie"}
    movie = scores.xs("movie", level="type")
    assert movie["ccnorm"].loc[10] == pytest.approx(1, abs=0.05)  # nothing but the frames
    assert movie["one_minus_alpha_truth"].loc[10] == pytest.approx(0, abs=1e-9)
    assert movie["one_minus_alpha"].loc[10] == pytest.approx(0, abs=0.25)
    assert movie["one_minus_alpha_truth"].loc[11] > 0.9  # behaviour, which is not repeated
    np.testing.assert_array_equal(movie["one_minus_alpha_truth"], movie["one_minus_alpha_twin"])
    assert scores.xs("noise", level="type")["ccnorm"].isna().all()
    assert scores["oracle"].notna().all()


def test_without_a_truth_there_is_no_oracle(world):
    dataset, truth, _ = world
    scores = score_cells(dataset, truth.rates, {})
    assert scores[["oracle", "fraction_of_oracle"]].isna().all(axis=None)
    assert scores["bits_per_spike"].notna().all()
    assert find_truth(dataset) is None


def test_cells_go_by_their_ids(world):
    _, truth, recording = world
    dataset = known_dataset(recording, cell_ids=[12, 10])
    rates, visual = true_rates(dataset, truth)
    np.testing.assert_array_equal(rates, truth.rates[:, [2, 0]])
    np.testing.assert_array_equal(visual, truth.visual_rates[:, [2, 0]])


def test_the_truth_of_another_recording_is_refused(world):
    dataset, truth, _ = world
    other = SimpleNamespace(rates=truth.rates[:-1], visual_rates=truth.visual_rates[:-1])
    with pytest.raises(ValueError, match=r"'known' has \(bins, cells\).*another recording"):
        score_cells(dataset, truth.rates, {}, other)
