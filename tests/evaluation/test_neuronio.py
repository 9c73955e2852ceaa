"""The evaluation of NeuronIO: windows, alignment and what counts, as in the official code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.datasets import convert_neuronio, open_neuronio, read_neuronio, write_neuronio_like
from utils.evaluation import evaluate_neuronio, predict_neuronio
from utils.metrics import neuronio_metrics
from utils.models.elm import ELMv2, load_official_checkpoint

FILE = "sim__tiny_1sim_1s.p"


class Dense:
    """A model that takes arrays only."""

    def __init__(self, neuron):
        self.neuron = neuron

    def neuronio_eval_forward(self, X):
        return self.neuron.neuronio_eval_forward(X)


class Clock:
    """Says how long its window has been running, in mV."""

    def neuronio_eval_forward(self, X):
        time = torch.arange(X.shape[1], dtype=torch.float32).expand(X.shape[:2])
        return torch.stack([time / 1000, time], dim=2)


class Sum:
    """A spike is likely, and the voltage high, when much excitation has just arrived."""

    def neuronio_eval_forward(self, X):
        total = X.sum(dim=2)
        return torch.stack([total.sigmoid(), total], dim=2)


@pytest.fixture(scope="module")
def published(reference):
    return load_official_checkpoint(reference / "elm" / "pretrained" / "num_memory_15")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("native") / "sim__1.p"
    return write_neuronio_like(path, n_simulations=5, seconds=2, seed=0)


@pytest.fixture(scope="module")
def neuron():
    torch.manual_seed(0)
    sizes = {"num_memory": 6, "num_branch": 45, "num_synapse_per_branch": 100}
    return ELMv2(1278, 2, input_to_synapse_routing="neuronio_routing", **sizes)


def arrays(n=3, time=900, seed=0):
    """Inputs, spikes and voltages without any meaning."""
    rng = np.random.default_rng(seed)
    inputs = rng.choice(np.array([0, 1, -1], np.int8), (n, time, 8), p=[0.8, 0.1, 0.1])
    return inputs, rng.random((n, time)) < 0.02, rng.normal(-68, 4, (n, time))


@pytest.mark.parametrize("way", ["events", "dense"])
@pytest.mark.parametrize("source", ["native", "converted", "arrays"])
def test_predictions_of_a_published_neuron_are_the_official_ones(
    reference, published, tmp_path, way, source
):
    path = reference / "elm" / FILE
    simulations = {
        "native": lambda: path,
        "converted": lambda: convert_neuronio(path, tmp_path, progress=False),
        "arrays": lambda: read_neuronio(path),
    }[source]()
    model = published if way == "events" else Dense(published)
    (prediction,) = predict_neuronio(model, simulations)
    expected = np.load(reference / "elm" / "neuronio_tiny_expected.npz")
    np.testing.assert_array_equal(prediction.spikes, expected["spikes_GT"])
    np.testing.assert_allclose(prediction.soma_mv + 67.7, expected["soma_GT"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(prediction.probability, expected["spikes_hat"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        prediction.predicted_mv + 67.7, expected["soma_hat"], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("time", [400, 500, 501, 850, 900, 1200, 1555])
def test_windows_start_at_rest_and_their_burn_in_is_not_used(time):
    (prediction,) = predict_neuronio(Clock(), arrays(time=time))
    in_window = np.arange(time)
    in_window[500:] = 150 + (in_window[500:] - 500) % 350
    np.testing.assert_allclose(prediction.probability, np.tile(in_window / 1000, (3, 1)), atol=1e-7)


def test_windows_may_be_of_other_lengths():
    (prediction,) = predict_neuronio(Clock(), arrays(time=10), burn_in=1, window=3)
    assert (1000 * prediction.probability[0]).round().tolist() == [0, 1, 2, 1, 2, 1, 2, 1, 2, 1]


def test_voltages_are_aligned_within_each_file(file, neuron, tmp_path):
    other = write_neuronio_like(tmp_path / "sim__2.p", n_simulations=2, seconds=1, seed=1)
    for prediction in predict_neuronio(neuron, [file, other]):
        assert prediction.soma_mv.max() <= -55
        assert prediction.predicted_mv.mean() == pytest.approx(prediction.soma_mv.mean())
        assert prediction.predicted_mv.std() == pytest.approx(prediction.soma_mv.std())


def test_scores_are_the_same_whatever_form_the_simulations_have(file, neuron, tmp_path):
    convert_neuronio(file, tmp_path, progress=False)
    scores = evaluate_neuronio(neuron, file)
    assert scores.keys() == {"auc", "rmse_mv", "explained_variance"}
    assert np.isfinite([*scores.values()]).all()
    data = read_neuronio(file)
    as_tensors = tuple(map(torch.from_numpy, data))
    store = open_neuronio(tmp_path)
    for form in (str(file), [file], tmp_path, store, store.files[0], data, tuple(data), as_tensors):
        assert evaluate_neuronio(neuron, form) == pytest.approx(scores, abs=1e-12)
    assert evaluate_neuronio(Dense(neuron), file) == pytest.approx(scores, abs=1e-4)


def test_files_are_pooled_after_each_was_aligned(file, neuron, tmp_path):
    other = write_neuronio_like(tmp_path / "sim__2.p", n_simulations=2, seconds=1, seed=1)
    parts = [p.counted() for f in (file, other) for p in predict_neuronio(neuron, f)]
    pooled = neuronio_metrics(*map(np.concatenate, zip(*parts)))
    scores = evaluate_neuronio(neuron, [file, other])
    assert scores == pytest.approx({name: pooled[name] for name in scores})


def test_inputs_of_arrays_are_taken_as_they_are():
    inputs, spikes, soma_mv = arrays()
    weighted = inputs * np.linspace(0, 2, 8)
    (prediction,) = predict_neuronio(Sum(), (weighted, spikes, soma_mv))
    expected = 1 / (1 + np.exp(-weighted.sum(axis=2)))
    np.testing.assert_allclose(prediction.probability, expected, atol=1e-6)


def test_a_model_that_knows_scores_high(caplog):
    inputs, _, _ = arrays(time=1000)
    total = inputs.sum(axis=2, dtype=float)
    truth = (inputs, total > 2, total - 70)
    scores = evaluate_neuronio(Sum(), truth)
    assert scores["auc"] == 1
    assert scores["explained_variance"] == pytest.approx(1)
    assert scores["rmse_mv"] == pytest.approx(0, abs=1e-5)
    assert not caplog.records


def test_the_start_and_simulations_with_many_spikes_do_not_count(caplog):
    inputs, spikes, soma_mv = arrays(time=1000)
    spikes[:] = False
    spikes[0, 700:724] = True
    spikes[1, 700:725] = True
    (prediction,) = predict_neuronio(Sum(), (inputs, spikes, soma_mv))
    assert prediction.counted().spikes.shape == (2 * 500,)
    assert prediction.counted().spikes.sum() == 24
    spikes[:, 700:730] = True
    scores = evaluate_neuronio(Sum(), (inputs, spikes, soma_mv))
    assert np.isnan([*scores.values()]).all()
    assert "nothing is left to score" in caplog.text


def test_without_spikes_the_voltage_is_still_scored(caplog):
    inputs, spikes, soma_mv = arrays()
    scores = evaluate_neuronio(Sum(), (inputs, 0 * spikes, soma_mv))
    assert np.isnan(scores["auc"])
    assert np.isfinite([scores["rmse_mv"], scores["explained_variance"]]).all()
    assert "there is no spike" in caplog.text


class Constant:
    """Says the same all the time."""

    def __init__(self, value):
        self.value = value

    def neuronio_eval_forward(self, X):
        return torch.full((*X.shape[:2], 2), self.value)


def test_constant_and_missing_predictions_are_said_to_be_so(caplog):
    scores = evaluate_neuronio(Constant(0.5), arrays())
    assert scores["auc"] == 0.5
    assert scores["explained_variance"] == pytest.approx(0)
    assert "the predicted voltage is constant" in caplog.text
    scores = evaluate_neuronio(Constant(torch.nan), arrays())
    assert np.isnan([*scores.values()]).all()
    assert "100% of the predictions are NaN" in caplog.text


def test_a_constant_voltage_has_no_variance_to_explain(caplog):
    inputs, spikes, soma_mv = arrays()
    scores = evaluate_neuronio(Sum(), (inputs, spikes, 0 * soma_mv - 70))
    assert scores["rmse_mv"] == pytest.approx(0, abs=1e-9)
    assert np.isnan(scores["explained_variance"])
    assert "the voltage is constant" in caplog.text


def test_the_model_is_left_as_it_was(file, neuron):
    neuron.train()
    evaluate_neuronio(neuron, file)
    assert neuron.training
    neuron.eval()
    evaluate_neuronio(neuron, file)
    assert not neuron.training
    assert all(parameter.grad is None for parameter in neuron.parameters())


def test_wrong_arguments_are_named(neuron, tmp_path):
    inputs, spikes, soma_mv = arrays()
    with pytest.raises(ValueError, match="0 <= burn_in < window, found 500 and 500"):
        evaluate_neuronio(Sum(), (inputs, spikes, soma_mv), burn_in=500)
    with pytest.raises(ValueError, match=r"found \(3, 900, 8\), \(3, 900\) and \(3, 899\)"):
        evaluate_neuronio(Sum(), (inputs, spikes, soma_mv[:, 1:]))
    with pytest.raises(FileNotFoundError, match="no NeuronIO file"):
        evaluate_neuronio(neuron, tmp_path)
