"""TSMixer: the formula of the paper, and information that passes between frames and neurons."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.forecasting.conftest import quick, world_times
from utils.models.forecasting.network import Sizes
from utils.models.forecasting.tsmixer import MixerLayer, TSMixerConfig, TSMixerNetwork
from utils.windows import window_data


def past_of(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_layer_is_the_formula_of_the_paper():
    torch.manual_seed(0)
    layer, x = MixerLayer(context=4, n_channels=3, d_channel=2, dropout=0.0), past_of(5, 4, 3)
    found = layer(x)  # in training: statistics of the batch

    def normalised(values):
        deviation = (values.var(dim=(0, 1), correction=0) + 1e-5).sqrt()
        return (values - values.mean(dim=(0, 1))) / deviation

    time, (first, second) = layer.time[0], (layer.channels[0], layer.channels[3])
    mixed = torch.einsum("st,btn->bsn", time.weight, normalised(x)) + time.bias[:, None]
    x = x + mixed.clamp(min=0)
    hidden = torch.einsum("cn,btn->btc", first.weight, normalised(x)) + first.bias
    x = x + torch.einsum("nc,btc->btn", second.weight, hidden.clamp(min=0)) + second.bias
    torch.testing.assert_close(found, x, rtol=1e-4, atol=1e-5)


def test_every_entry_of_a_window_reaches_every_neuron_and_no_other_window():
    torch.manual_seed(0)
    config = TSMixerConfig(skip="none", normalise="none")
    net = TSMixerNetwork(config, Sizes(24, 6, 5, 2)).eval()
    past, covariates = past_of(3, 24, 5).requires_grad_(), past_of(3, 24, 2).requires_grad_()
    net(past, None, covariates).location[1, -1, 3].backward()
    for gradient in (past.grad, covariates.grad):
        assert gradient[1].ne(0).all()
        assert not gradient[[0, 2]].any()


def test_weights_grow_in_proportion_to_the_neurons():
    def size(n_neurons):
        net = TSMixerNetwork(TSMixerConfig(), Sizes(24, 6, n_neurons, 0))
        return sum(p.numel() for p in net.layers.parameters())

    assert size(300) - size(200) == size(200) - size(100)


@pytest.mark.parametrize("n_covariates", [0, 1])
def test_a_follower_is_forecast_from_its_leader(n_covariates):
    """White noise that the second neuron repeats 4 frames later: no map of its own past helps."""
    noise = np.random.default_rng(0).standard_normal((1504, 3)).astype(np.float32)
    activity = np.stack([noise[4:, 0], noise[:-4, 0], noise[4:, 1]], axis=1)
    extra = {"covariates": noise[4:, 2:], "covariate_names": ["noise"]} if n_covariates else {}
    data = window_data(activity, world_times(1500), 8, 4, source="simulated", unit="", **extra)
    trainer = {"max_epochs": 6, "stride": 1, "batch_size": 32, "learning_rate": 1e-2}
    settings = {"layers": 1, "d_channel": 8, "dropout": 0.0, "covariates": bool(n_covariates)}
    model = quick("tsmixer", skip="linear", **settings, trainer=trainer).fit(data)
    batch = data.test.batch(torch.arange(len(data.test)))
    errors = (model.predict(batch.past, batch.past_covariates) - batch.future).square()
    assert (errors.mean(dim=(0, 1)) / batch.future.var(dim=(0, 1)))[1] < 0.5


def test_a_mixer_belongs_to_its_neurons():
    assert not quick("tsmixer", normalise="window", skip="mean").transfers
