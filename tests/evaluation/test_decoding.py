"""Scores of decoders against scikit-learn, and what they say of noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, r2_score, roc_auc_score

from utils.config import load_config
from utils.datasets.time_frequency import TimeFrequencyConfig, time_frequency_data
from utils.datasets.time_frequency_module import TimeFrequencyModule
from utils.evaluation.decoding import (
    BASELINES,
    DecodingExperiment,
    auroc,
    balanced_accuracy,
    baseline_predictions,
    network_predictions,
    r2,
    score_decoders,
)
from utils.models.spectral import fit_spectral
from utils.splits import TEST, TRAIN, VALIDATION

torch.set_num_threads(1)  # tiny tensors: threads only wait for each other

N = {TRAIN: 200, VALIDATION: 40, TEST: 120}
BLOCK = np.repeat(list(N), list(N.values()))
CONFIG = TimeFrequencyConfig(n_frequencies=8, n_times=8)


def data_of(shuffled=False):
    """Windows whose level says the side, and whose rhythm the strength."""
    rng = np.random.default_rng(0)
    side = rng.integers(2, size=len(BLOCK)).astype(float)
    strength = rng.uniform(0, 3, len(BLOCK))
    rhythm = np.sin(2 * np.pi * np.arange(25) / 5 + rng.uniform(0, 6, (len(BLOCK), 1)))
    windows = strength[:, None] * rhythm + (2 * side - 1)[:, None]
    windows = windows + 0.5 * rng.standard_normal(windows.shape)
    side[::9] = np.nan  # catch trials
    if shuffled:
        side, strength = rng.permutation(side), rng.permutation(strength)
    return time_frequency_data(
        windows[..., None],
        5.0,
        {"side": side, "strength": strength},
        BLOCK,
        CONFIG,
        classes={"side": ("left", "right")},
    )


@pytest.fixture(scope="module")
def data():
    return data_of()


@pytest.fixture(scope="module")
def baselines(data):
    return baseline_predictions(data)


def row(scores, **wanted):
    return scores[np.logical_and.reduce([scores[k] == v for k, v in wanted.items()])].iloc[0]


def test_scores_are_the_usual_ones():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=200).astype(float)
    said = rng.dirichlet(np.ones(3), 200) + 0.3 * np.eye(3)[truth.astype(int)]
    said /= said.sum(axis=1, keepdims=True)
    expected = roc_auc_score(truth, said, multi_class="ovr", average="macro")
    assert auroc(said, truth) == pytest.approx(expected)
    expected = balanced_accuracy_score(truth, said.argmax(axis=1))
    assert balanced_accuracy(said, truth) == pytest.approx(expected)
    values = truth + rng.standard_normal(200)
    assert r2(values, truth) == pytest.approx(r2_score(truth, values))


def test_scores_of_one_class_or_value_are_not_numbers():
    assert np.isnan(auroc(np.ones((4, 2)) / 2, np.zeros(4)))
    assert np.isnan(r2(np.zeros(4), np.ones(4)))


def test_linear_decoders_find_what_is_there(data, baselines):
    scores = score_decoders(data, baselines, n_resamples=200)
    assert row(scores, target="side", metric="auroc", model="constant")["score"] == 0.5
    assert row(scores, target="side", metric="auroc", model="linear on means")["low"] > 0.9
    assert row(scores, target="strength", model="constant")["score"] <= 0
    means, images = (
        row(scores, target="strength", model=f"linear on {what}") for what in ("means", "images")
    )
    assert means["high"] < 0.2
    assert images["low"] > 0.8
    assert images["verdict"] == "above chance"


def test_shuffled_labels_give_chance():
    data = data_of(shuffled=True)
    scores = score_decoders(data, baseline_predictions(data), n_resamples=200)
    assert not scores["verdict"].str.startswith("above").any()


def test_a_network_is_compared_with_the_better_linear_decoder(data, baselines):
    perfect = {
        "side": np.eye(2)[np.nan_to_num(data.values[BLOCK == TEST, 0]).astype(int)],
        "strength": data.values[BLOCK == TEST, 1],
    }
    useless = {"side": np.full((N[TEST], 2), 0.5), "strength": np.zeros(N[TEST])}
    both = baselines | {"perfect": perfect, "useless": useless}
    scores = score_decoders(data, both, n_resamples=200)
    best = row(scores, target="strength", model="perfect")
    assert best["score"] == 1
    assert "better than linear" in best["verdict"]
    assert "not better" not in best["verdict"]
    assert best["over_low"] > 0
    assert "worse than linear" in row(scores, target="strength", model="useless")["verdict"]


def test_few_blocks_have_no_interval(data, baselines):
    scores = score_decoders(data, baselines, block_seconds=120, n_resamples=50)
    assert scores["low"].isna().all()
    assert scores["verdict"].str.contains("not estimable").all()


def test_a_small_network_learns_with_missing_labels(data):
    changes = ["trainer.max_epochs=15", "trainer.device=cpu", "network.dropout=0"]
    config = load_config("decoding/session", changes, DecodingExperiment)
    module = TimeFrequencyModule(data, batch_size=32)
    said = network_predictions(fit_spectral(config, module).model, module)
    assert set(said) == {"side", "strength"}
    assert said["side"].shape == (N[TEST], 2)
    known = data.known(TEST, 0) - N[TRAIN] - N[VALIDATION]
    assert auroc(said["side"][known], data.values[data.known(TEST, 0), 0]) > 0.9
    assert r2(said["strength"], data.values[BLOCK == TEST, 1]) > 0.5


def test_baselines_are_named(baselines):
    assert tuple(baselines) == BASELINES
