"""Heads are scored in their units, beside baselines that see the training part alone."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from utils.datasets.vimh import SpectralBatch, VIMHDataModule
from utils.evaluation.spectral import baseline_predictions, evaluate_spectral, score_heads
from utils.evaluation.spectral.baselines import Samples, samples_of
from utils.models.spectral import Head, HeadPrediction, SpectralConfig, build_network, heads_of

HEADS = (
    Head(name="cutoff", minimum=200.0, maximum=1000.0, step=100.0, n_classes=9),
    Head(name="side", minimum=0.0, maximum=1.0, step=1.0, n_classes=2),
)


def part(cutoff, side, inputs=None, auxiliary=None) -> Samples:
    """Values that are NaN are missing."""
    values = np.stack([np.asarray(cutoff, float), np.asarray(side, float)], axis=1)
    labels = np.nan_to_num(np.rint((values - [200, 0]) / [100, 1]), nan=-1).astype(int)
    n = len(values)
    inputs = np.zeros((n, 4)) if inputs is None else np.asarray(inputs, float)
    auxiliary = np.zeros((n, 0)) if auxiliary is None else np.asarray(auxiliary, float)
    return Samples(inputs, auxiliary, labels, values)


def test_majority_and_mean_are_those_of_the_training_part():
    train = part([200, 200, 900], [1, 1, 0])
    said = baseline_predictions(train, part([900, 900], [0, 0]), HEADS)
    assert said["majority"]["cutoff"].values.tolist() == [200, 200]
    assert said["majority"]["side"].classes.tolist() == [1, 1]
    assert said["mean"]["cutoff"].values == pytest.approx([1300 / 3] * 2)
    assert said["mean"]["cutoff"].classes.tolist() == [2, 2]  # 400 Hz is the nearest
    assert said["mean"]["side"].values == pytest.approx([2 / 3] * 2)


def test_the_nearest_neighbour_and_ridge_see_pixels():
    pixels = np.linspace(0, 1, 9)[:, None] * [[1.0, -1.0, 0.5, 2.0]]
    cutoff = 200 + 100 * np.arange(9)
    train = part(cutoff, np.arange(9) > 4, pixels)
    asked = part([450, 750], [0, 1], 0.999 * pixels[[2, 5]] + 0.001 * pixels[[3, 6]])
    said = baseline_predictions(train, asked, HEADS)
    assert said["nearest neighbour"]["cutoff"].values.tolist() == [400, 700]
    assert said["nearest neighbour"]["side"].classes.tolist() == [0, 1]
    assert said["ridge"]["cutoff"].values == pytest.approx([400.1, 700.1], abs=1)
    assert said["ridge"]["cutoff"].classes.tolist() == [2, 5]


def test_baselines_see_auxiliary_inputs():
    level = np.linspace(-1, 1, 9)[:, None]
    cutoff = 200 + 100 * np.arange(9)
    train = part(cutoff, np.zeros(9), auxiliary=level)
    said = baseline_predictions(train, part([500], [0], auxiliary=level[[3]]), HEADS)
    assert said["ridge"]["cutoff"].values == pytest.approx([500], abs=1)
    assert said["nearest neighbour"]["cutoff"].values.tolist() == [500]


def test_a_missing_truth_teaches_nothing():
    pixels = np.arange(5.0)[:, None]
    train = part([200, 300, 400, np.nan, np.nan], [np.nan, np.nan, 1, 1, 0], pixels)
    said = baseline_predictions(train, part([400], [1], pixels[[3]]), HEADS)
    assert said["majority"]["cutoff"].classes.tolist() == [0]
    assert said["majority"]["side"].classes.tolist() == [1]
    assert said["mean"]["cutoff"].values.tolist() == [300]
    assert said["nearest neighbour"]["cutoff"].values.tolist() == [400]
    assert said["nearest neighbour"]["side"].classes.tolist() == [1]
    assert said["ridge"]["cutoff"].values == pytest.approx([500], abs=1)


def test_a_missing_truth_is_not_scored():
    test = part([200, 300, np.nan], [np.nan, np.nan, np.nan])
    right = HeadPrediction(
        np.array([0, 2, 5]), np.array([200.0, 400.0, 700.0]), np.eye(9)[[0, 2, 5]]
    )
    scores = score_heads({"model": {"cutoff": right}}, test, HEADS[:1]).loc[("cutoff", "model")]
    assert scores["n"] == 2
    assert scores["accuracy"] == 0.5
    assert scores["mae"] == scores["class_mae"] == 50
    with pytest.raises(ValueError, match="head 'side': no test sample has a truth"):
        score_heads({"model": {"cutoff": right, "side": right}}, test, HEADS)


def test_baselines_do_not_look_at_the_truth_of_the_test(data):
    train, test = samples_of(data.train_dataloader()), samples_of(data.test_dataloader())
    heads = heads_of(data.parameters)
    other = test._replace(labels=0 * test.labels, values=0 * test.values)
    one, two = (baseline_predictions(train, asked, heads) for asked in (test, other))
    for name in one:
        for head in heads:
            assert np.array_equal(one[name][head.name].values, two[name][head.name].values)


def test_a_model_that_knows_is_right(data, knowing):
    table = evaluate_spectral(knowing(data.parameters), data).table
    model = table.xs("model", level="model")
    assert (model["accuracy"] == 1).all()
    assert (model[["mae", "class_mae", "calibration_error"]] == 0).all(axis=None)
    assert (model["jnd"] == 1).all()
    assert model["n"].tolist() == [60, 60]
    assert model["unit"].tolist() == ["MIDI velocity", "log10 s"]
    assert not model["baseline"].any()
    others = table.drop("model", level="model")
    assert others["baseline"].all()
    assert others["calibration_error"].isna().all()


def test_the_true_class_is_as_good_as_classes_can_be(data, knowing):
    table = evaluate_spectral(knowing(data.parameters), data).table
    ceiling = table.loc[("log10_decay_time", "true class")]
    assert ceiling["accuracy"] == 1
    assert ceiling["class_mae"] == 0
    # values are uniform within a step of 0.1: a quarter of it away on average
    assert ceiling["mae"] == pytest.approx(0.025, abs=0.005)
    assert ceiling["jnd"] == pytest.approx(0.75, abs=0.05)


def test_errors_are_physical(data, knowing):
    off = knowing(data.parameters, lambda values: values + 0.05, certain=False)
    evaluation = evaluate_spectral(off, data, {"log10_decay_time": 0.2})
    scores = evaluation.table.loc[("log10_decay_time", "model")]
    assert scores["mae"] == pytest.approx(0.05)
    assert scores["jnd"] == pytest.approx(0.75)
    assert scores["class_mae"] == 0
    assert np.isnan(scores["calibration_error"])
    velocity = evaluation.table.loc[("note_velocity", "model")]
    assert velocity["jnd"] == pytest.approx(0.9)  # of half a velocity, a step


def test_velocity_can_be_told_from_the_scale_alone(saw, knowing):
    for auxiliary, expected in (((), False), (("scale",), True)):
        data = VIMHDataModule(saw, auxiliary=auxiliary)
        table = evaluate_spectral(knowing(saw.parameters), data).table
        found = table["identifiable"].groupby("head").first()
        assert found["log10_decay_time"]
        assert found["note_velocity"] == expected


def test_of_other_data_nothing_is_said_about_what_can_be_learned(data, knowing):
    other = SimpleNamespace(
        parameters=data.parameters,
        train_dataloader=data.train_dataloader,
        test_dataloader=data.test_dataloader,
    )
    evaluation = evaluate_spectral(knowing(data.parameters), other)
    assert evaluation.learnable is None
    assert evaluation.table["identifiable"].isna().all()


def test_a_network_is_scored(data):
    model = build_network(SpectralConfig(), data.image_shape, heads_of(data.parameters))
    evaluation = evaluate_spectral(model, data)
    scores = evaluation.table.xs("model", level="model")
    assert scores.drop(columns=["unit"]).notna().all(axis=None)
    assert scores["mae"]["log10_decay_time"] > 0.1  # it has learned nothing


def test_figures_show_every_head(data, knowing):
    figures = evaluate_spectral(knowing(data.parameters), data).figures()
    confusions = {f"confusion of {p.name}" for p in data.parameters}
    assert set(figures) == {"predicted against true", "reliability", *confusions}
    assert "log10 s" in figures["confusion of log10_decay_time"].axes[0].get_xlabel()
    numbers = evaluate_spectral(knowing(data.parameters, certain=False), data).figures()
    assert "reliability" not in numbers
    for figure in {**figures, **numbers}.values():
        figure.canvas.draw()
    plt.close("all")


def test_data_of_other_heads_are_refused(data, knowing):
    wrong = knowing(data.parameters[::-1])
    with pytest.raises(ValueError, match="other parameters"):
        evaluate_spectral(wrong, data)


def test_tolerances_are_of_heads(data, knowing):
    with pytest.raises(ValueError, match=r"no head 'decay'; known: .*log10_decay_time"):
        evaluate_spectral(knowing(data.parameters), data, {"decay": 0.1})


def test_all_batches_are_taken_in_order():
    batches = [
        SpectralBatch(
            torch.full((n, 1, 2, 2), float(n)),
            torch.zeros(n, 0),
            torch.zeros(n, 1, dtype=torch.int64),
            torch.zeros(n, 1),
        )
        for n in (3, 1)
    ]
    samples = samples_of(batches)
    assert samples.inputs.tolist() == [[3.0] * 4] * 3 + [[1.0] * 4]
    assert samples.auxiliary.shape == (4, 0)


def test_an_empty_part_is_refused():
    with pytest.raises(ValueError, match="part of the data set is empty"):
        samples_of([])
