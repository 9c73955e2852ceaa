"""History: earlier bins only, as a network of the flattened lags would have it."""

import pytest
import torch
from torch import nn

from utils.models.v1_twin.config import HistoryConfig
from utils.models.v1_twin.history import History

N_CELLS, LAGS = 3, 4


def history(**changes: object) -> History:
    torch.manual_seed(0)
    return History(HistoryConfig(lags=LAGS, hidden=(6, 5), **changes), N_CELLS)


def test_a_bin_is_predicted_from_the_lags_before_it_and_never_from_itself():
    network = history()
    responses = torch.rand(1, 12, N_CELLS)
    before = network(responses, n_bins=6)  # bins 6 to 11
    for changed in range(12):
        other = responses.clone()
        other[:, changed] += 1
        moved = (network(other, n_bins=6) != before).any(-1)[0].nonzero().flatten() + 6
        expected = [b for b in range(6, 12) if changed < b <= changed + LAGS]
        assert moved.tolist() == expected


def test_equals_a_network_of_the_flattened_lags():
    network = history()
    responses = torch.rand(2, 9, N_CELLS)
    first, second, last = (m for m in network.network if isinstance(m, nn.Conv1d))
    flat = responses[:, 3:7].flatten(1)  # what predicts bin 7
    weight = first.weight.mT.flatten(1)  # (hidden, lag * cell)
    hidden = (flat @ weight.mT + first.bias).relu()
    hidden = (hidden @ second.weight[..., 0].mT + second.bias).relu()
    expected = hidden @ last.weight[..., 0].mT + last.bias
    torch.testing.assert_close(network(responses, n_bins=2)[:, 0], expected)


def test_zeros_stand_for_what_was_before_the_start():
    network = history()
    responses = torch.rand(1, 5, N_CELLS)
    longer = torch.cat([torch.zeros(1, LAGS, N_CELLS), responses], dim=1)
    torch.testing.assert_close(network(responses, 5), network(longer, 5))


@torch.no_grad()
def test_spectral_norm_bounds_every_layer():
    network = history(spectral_norm=True)
    layers = [m for m in network.network if isinstance(m, nn.Conv1d)]
    for layer in layers:
        layer.parametrizations.weight.original.mul_(100)
    for _ in range(50):
        network(torch.rand(1, 9, N_CELLS), 2)  # the power iteration settles
    norms = [float(torch.linalg.matrix_norm(layer.weight.flatten(1), 2)) for layer in layers]
    assert norms == pytest.approx([1, 1, 1], rel=1e-2)
