"""One call that asks everything of a twin: its tables, its figures, and what cannot be asked."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from tests.evaluation.v1_twin.worlds import known_config, known_dataset, known_recording
from utils.datasets.v1.module import V1DataModule
from utils.evaluation import evaluate_twin
from utils.evaluation.v1_twin import predict_rates, score_cells
from utils.models.v1_twin import build_model
from utils.splits import TEST

MODEL = {
    "convnet": {"type": "vanilla", "blocks": [{"channels": 4, "kernel": [3, 3, 3]}]},
    "modulator": {"type": "concat", "hidden": [8]},
    "readout": {"type": "gaussian"},
}
BLIND = {"behavior_only": True, "modulator": {"type": "concat", "hidden": [8]}}


@pytest.fixture(scope="module")
def world():
    """Two data sets of one recording with jumps of the gaze, a fresh twin, and the truth."""
    recording, truth = known_recording(60)
    n_bins = len(recording["robs"])
    jumps = np.arange(n_bins) % 30 == 15
    noise = np.random.default_rng(0).normal(0, 0.005, (n_bins, 2))
    gaze = np.stack([2.0 * (jumps.cumsum() % 2), np.zeros(n_bins)], axis=1) + noise
    recording["eyepos"] = gaze.astype(np.float32)
    configs = [known_config(name="one"), known_config(name="two", cell_ids=[12, 10])]
    data = V1DataModule(configs, {"one": recording, "two": recording}, sequence_bins=40)
    truth = SimpleNamespace(
        **vars(truth),
        centre=np.zeros((4, 2)),
        ori=np.array([10.0, 20.0, 30.0, 40.0]),
        sf=np.full(4, 4.0),
        f1_f0=np.full(4, 1.5),
        is_complex=np.zeros(4, bool),
        saccade_weight=np.ones(4),
        saccade_lags=np.arange(3) / 120,
        saccade_kernel=np.array([0.0, 1.0, 0.5]),
    )
    torch.manual_seed(0)
    return build_model(MODEL, configs), data, {"one": truth, "two": truth}


@pytest.fixture(scope="module")
def evaluation(world):
    model, data, truth = world
    return evaluate_twin(model, data, truth=truth)


def test_rates_are_those_of_the_twin_whatever_the_sequences(world):
    model, data, _ = world
    dataset = data.datasets["two"]
    rates = predict_rates(model, dataset)
    np.testing.assert_allclose(predict_rates(model, dataset, sequence_bins=7), rates, rtol=1e-4)
    one = dataset.gather(dataset.sequences(TEST, 20).take(np.array([3])))
    first = dataset.sequences(TEST, 20).firsts[3]
    with torch.no_grad():
        direct = model("two", one.stimulus, one.behavior, n_bins=20)
    np.testing.assert_allclose(rates[first : first + 10], direct[0, :10].numpy(), rtol=1e-4)


def test_tables_have_all_cells_of_all_data_sets(world, evaluation):
    _, data, truth = world
    cells = [("one", 10), ("one", 11), ("one", 12), ("one", 13), ("two", 12), ("two", 10)]
    for table in (evaluation.cells, evaluation.fields, evaluation.true_fields, evaluation.recovery):
        assert table.index.tolist() == cells
    assert evaluation.true_fields["ori"].tolist() == [10, 20, 30, 40, 30, 10]
    assert evaluation.floors == ("behaviour", "linear-nonlinear")
    assert set(evaluation.types.index.get_level_values("type")) == {"noise", "movie"}
    assert list(evaluation.saccades) == ["one", "two"]
    assert evaluation.saccades["two"].kernel.shape[1] == 2
    assert evaluation.left_out == ()
    dataset = data.datasets["one"]
    again = score_cells(dataset, evaluation.rates["one"], {}, truth["one"])
    found = evaluation.cells.loc["one", "bits_per_spike"]
    np.testing.assert_array_equal(found, again["bits_per_spike"])
    worse = evaluation.cells["flags"].str.contains("worse than the mean rate")
    np.testing.assert_array_equal(worse, evaluation.cells["bits_per_spike"] < 0)


def test_the_summary_counts_cells(evaluation):
    summary, cells = evaluation.summary(), evaluation.cells
    assert summary.loc["oracle", "median"] == pytest.approx(cells["oracle"].median())
    assert (summary["n_cells"] == 6).all()
    better = (cells["bits_per_spike"] > cells["behaviour"]).mean()
    assert summary.loc["behaviour", "better_in"] == pytest.approx(better)
    assert summary["better_in"].notna().sum() == 2


def test_figures_can_be_drawn(evaluation):
    figures = evaluation.figures()
    assert set(figures) == {"scores", "quality", "recovery", "saccades one", "saccades two"}
    for figure in figures.values():
        figure.canvas.draw()
        plt.close(figure)


def test_what_cannot_be_asked_is_said(world):
    _, data, truth = world
    none = {"one": {}, "two": {}}
    evaluation = evaluate_twin(
        build_model(BLIND, data.configs), data, truth={"one": truth["one"]}, floors=none
    )
    assert evaluation.left_out[0] == "receptive fields of 'one': the twin sees no frames"
    assert len(evaluation.left_out) == 2
    assert evaluation.recovery.columns.tolist() == ["kernel_r"]
    assert evaluation.cells["oracle"].notna().tolist() == [True] * 4 + [False] * 2
    assert evaluation.floors == ()
    for figure in evaluation.figures().values():
        plt.close(figure)


def test_a_twin_of_other_cells_is_refused(world):
    _, data, _ = world
    others = [known_config(name="one", cell_ids=[10, 11]), known_config(name="two")]
    with pytest.raises(ValueError, match=r"'one' has cells \(10, 11, 12, 13\).*\(10, 11\)"):
        evaluate_twin(build_model(MODEL, others), data)
    with pytest.raises(ValueError, match=r"'one' has cells.*no such data set"):
        evaluate_twin(build_model(MODEL, others[1:]), data)


def test_negative_responses_are_refused():
    recording, _ = known_recording(20)
    changed = {"robs": recording["robs"].astype(np.float32) - 1}
    data = V1DataModule([known_config()], {"known": recording | changed})
    assert known_dataset(recording, changed).responses.min() == -1
    with pytest.raises(ValueError, match="'known' has negative responses"):
        evaluate_twin(build_model(MODEL, data.configs), data)
