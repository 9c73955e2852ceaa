"""Readouts start at mean rates, and where the features go together with the responses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.config import ConfigError
from utils.models.v1_twin.fit import known_rates
from utils.models.v1_twin.initialise import scale_to_norms, start_at_features, start_at_mean_rates
from utils.models.v1_twin.losses import loss_sums


@pytest.mark.parametrize("output", ["softplus", "exp", "relu", "identity"])
def test_biases_give_the_mean_rates(noise_data, noise_twin, output):
    data = noise_data()
    model = noise_twin(data, output=output)
    start_at_mean_rates(model, known_rates(data))
    for name, rates in data.mean_rates.items():
        model.readouts[name].features.data.zero_()
        stimulus = torch.zeros(1, 8, 11, 11)
        found = model(name, stimulus).detach()[0]
        expected = rates.float().expand_as(found)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


def test_silent_and_masked_cells_start_at_a_finite_bias(noise_data, noise_twin):
    valid = np.ones((600, 3), bool)
    valid[:, 1] = False
    data = noise_data(["a"], valid=valid)
    model = noise_twin(data)
    assert data.mean_rates["a"][1].isnan()
    for start in (
        lambda: start_at_mean_rates(model, known_rates(data)),
        lambda: start_at_features(model, data.train_dataloader(), known_rates(data)),
    ):
        start()
        for values in model.readouts["a"].parameters():
            assert values.isfinite().all()


def test_places_are_found_with_random_filters(noise_data, noise_twin, pixels):
    data = noise_data(n_trials=40)
    model = noise_twin(data)
    start_at_features(model, data.train_dataloader(), known_rates(data))
    for name, places in pixels.items():
        readout = model.readouts[name]
        height, width = model.core.size
        column = (readout.mean[:, 0].detach() + 1) / 2 * (width - 1)
        row = (1 - readout.mean[:, 1].detach()) / 2 * (height - 1)
        # a 3 x 3 kernel without padding: the middle of the first place is pixel 1
        found = torch.stack([row, column], dim=1).numpy() + 1
        assert np.abs(found - np.array(places)).max() <= 1


def test_it_explains_more_than_the_mean_rate_before_any_training(noise_data, noise_twin):
    data = noise_data(n_trials=40)
    model, rates = noise_twin(data), known_rates(data)
    start_at_features(model, data.train_dataloader(), rates)
    assert model.training
    gained = dict.fromkeys(rates, 0.0)
    for batch in data.val_dataloader():
        for name, part in batch.items():
            counts = part.responses[:, -part.mask.shape[1] :]
            with torch.no_grad():
                found = model(name, part.stimulus, n_bins=part.mask.shape[1])
            gained[name] += loss_sums("poisson", found, counts, part.mask, rates[name]).gain.sum()
    assert min(gained.values()) > 2  # nats


@pytest.mark.parametrize("bias", [True, False])
def test_filters_that_hear_little_are_as_loud_as_others_to_a_divisive_norm(
    noise_data, noise_twin, bias
):
    data = noise_data()
    block = {"channels": 4, "kernel": [1, 3, 3], "norm": "divisive", "bias": bias}
    model = noise_twin(data, convnet={"type": "vanilla", "blocks": [block]})
    filters = model.core.convnet.blocks[0]
    filters.conv.weight.data.mul_(torch.tensor([1e-3, 1.0, 1.0, 50.0])[:, None, None, None, None])
    seen = []
    filters.norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    scale_to_norms(model, data.train_dataloader(), n_batches=1)
    seen.clear()
    batch = next(iter(data.train_dataloader()))
    for name, part in batch.items():
        model(name, part.stimulus, part.behavior)
    squares = torch.stack([x.square().mean((0, 1, 3, 4)) for x in seen]).mean(0)
    torch.testing.assert_close(squares, torch.ones(4), rtol=0.1, atol=0)


def test_only_gaussian_readouts_have_a_place(noise_data, noise_twin):
    data = noise_data()
    model = noise_twin(data, readout={"type": "linear"})
    with pytest.raises(ConfigError, match="readout of 'a': places are found for type 'gaussian'"):
        start_at_features(model, data.train_dataloader(), known_rates(data))
