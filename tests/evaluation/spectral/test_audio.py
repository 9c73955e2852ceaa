"""Sounds of predicted parameters are compared with those of the true ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from utils.config import ConfigError
from utils.datasets.vimh import VIMHDataModule
from utils.evaluation.spectral import evaluate_audio
from utils.simulation.synthesis import synthesise


@pytest.fixture
def rounded(saw) -> VIMHDataModule:
    """Without a sidecar: true values are those of bytes."""
    bare = replace(saw, train=replace(saw.train, exact=None), test=replace(saw.test, exact=None))
    return VIMHDataModule(bare)


def test_right_parameters_make_the_same_sound(rounded, knowing):
    evaluation = evaluate_audio(knowing(rounded.parameters), rounded)
    summary = evaluation.summary()
    assert summary.index.tolist() == ["model", "mean", "true class"]
    assert summary["n"].tolist() == [60, 60, 60]
    # values are float32 in batches, a sound of them is the same but for rounding
    assert summary["snr_db"]["model"] > 80
    assert summary["pearson"]["model"] == pytest.approx(1)
    assert summary["stft_db"]["model"] == pytest.approx(0, abs=1e-3)
    assert summary["stft_db"]["mean"] > summary["stft_db"]["true class"] > 0.01
    assert evaluation.sample_rate == 8000
    assert evaluation.true.shape == evaluation.made["mean"].shape == (60, 8000)


def test_a_wrong_velocity_is_noise_of_the_same_shape(data, knowing):
    exact = data.data.test.exact.values
    quiet = knowing(data.parameters)
    said = quiet.predict(data.test_dataloader())
    ratio = {
        "note_velocity": 126 * np.ones(len(exact)),
        "log10_decay_time": exact[:, 1],
    }
    said = {name: one._replace(values=ratio[name]) for name, one in said.items()}
    quiet.predict = lambda batches: said
    scores = evaluate_audio(quiet, data).scores
    expected = -20 * np.log10(np.abs(126 / exact[:, 0] - 1))
    found = scores.loc[scores["model"] == "model", "snr_db"].to_numpy()
    clear = expected < 70  # beyond that float32 rounds
    assert found[clear] == pytest.approx(expected[clear], abs=0.1)
    assert clear.sum() > 30


def test_true_sounds_are_of_exact_parameters(data, knowing):
    evaluation = evaluate_audio(knowing(data.parameters), data, most=3)
    values = data.data.test.exact.values[:3]
    drawn = {p.name: values[:, i] for i, p in enumerate(data.parameters)}
    assert np.array_equal(evaluation.true, synthesise("simple_saw", drawn))
    assert evaluation.summary()["n"].tolist() == [3, 3, 3]


def test_predictions_beyond_the_range_are_cut(data, knowing):
    wild = knowing(data.parameters, lambda values: values + 1000)
    made = evaluate_audio(wild, data, most=2).made["model"]
    ends = {p.name: p.max for p in data.parameters}
    assert np.array_equal(made, np.repeat(synthesise("simple_saw", ends), 2, axis=0))


def test_an_unknown_synthesiser_is_named(saw, knowing):
    other = replace(saw, metadata=saw.metadata | {"synth_type": "organ"})
    with pytest.raises(ConfigError, match="synth_type"):
        evaluate_audio(knowing(saw.parameters), VIMHDataModule(other))


def test_some_sounds_are_compared(data, knowing):
    with pytest.raises(ValueError, match="most must be >= 1, found 0"):
        evaluate_audio(knowing(data.parameters), data, most=0)
