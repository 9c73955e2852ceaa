"""The message model against the same model along a list of edges."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.benchmarks.gnn_peers import ScatterModel
from utils.models.gnn.config import MessageConfig
from utils.models.gnn.messages import MessageModel

SEES = ["sender", "sender_embedding", "both_ends"]


def random_model(n_neurons: int = 9, **config: object) -> MessageModel:
    """In float64, with connections."""
    torch.manual_seed(0)
    model = MessageModel(
        n_neurons, MessageConfig(hidden=16, **config), activity_scale=2.0, rate_scale=3.0
    )
    for values in model.weights.parameters():
        torch.nn.init.normal_(values)
    return model.double()


def outputs_and_gradients(network: torch.nn.Module, model: MessageModel, u: Tensor) -> list[Tensor]:
    model.zero_grad()
    u = u.clone().requires_grad_()
    rates = network(u)
    rates.sin().sum().backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.requires_grad]
    return [rates.detach(), u.grad, *gradients]


@pytest.mark.parametrize("sees", SEES)
@pytest.mark.parametrize("rank", [None, 3])
@pytest.mark.parametrize(("batch", "n_neurons"), [(4, 9), (1, 9), (4, 1), (1, 2)])
def test_equals_messages_along_edges(sees, rank, batch, n_neurons):
    model = random_model(n_neurons, psi_sees=sees, rank=rank)
    u = torch.randn(batch, n_neurons, dtype=torch.float64)

    dense = outputs_and_gradients(model, model, u)
    by_edges = outputs_and_gradients(ScatterModel(model, batch), model, u)

    for found, expected in zip(dense, by_edges):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("sees", SEES)
def test_single_precision_equals_messages_along_edges(sees):
    model = random_model(30, psi_sees=sees).float()
    model.weights.values.data /= 30
    u = torch.randn(8, 30)

    error = (model(u) - ScatterModel(model, 8)(u)).abs().max()

    assert error < 1e-6 * model.rate_scale


@pytest.mark.parametrize("edges_at_once", [1, 40, 10_000])
def test_chunks_do_not_change_edge_wise_messages(edges_at_once):
    u = torch.randn(4, 9, dtype=torch.float64)
    whole = random_model(psi_sees="both_ends")
    model = random_model(psi_sees="both_ends", edges_at_once=edges_at_once)

    expected = outputs_and_gradients(whole, whole, u)
    found = outputs_and_gradients(model, model, u)

    for mine, theirs in zip(found, expected):
        torch.testing.assert_close(mine, theirs)


def test_chunks_bound_what_is_evaluated_at_once(monkeypatch):
    model = random_model(psi_sees="both_ends", edges_at_once=2 * 4 * 9)
    seen, forward = [], model.psi.forward

    def watched(sent: Tensor, received: Tensor) -> Tensor:
        values = forward(sent, received)
        seen.append(values.numel())
        return values

    monkeypatch.setattr(model.psi, "forward", watched)
    model(torch.randn(4, 9, dtype=torch.float64)).sum().backward()

    assert max(seen) <= 2 * 4 * 9


@pytest.mark.parametrize("sees", SEES)
def test_inputs_are_added_and_leading_axes_kept(sees):
    model = random_model(psi_sees=sees)
    u, inputs = torch.randn(2, 3, 5, 9, dtype=torch.float64)

    rates = model(u, inputs)

    torch.testing.assert_close(rates, model(u) + inputs)
    torch.testing.assert_close(rates[1, 2], model(u[1, 2], inputs[1, 2]))


def test_connectivity_starts_at_zero_and_has_no_diagonal():
    for rank in (None, 4):
        assert not MessageModel(6, MessageConfig(rank=rank)).connectivity.any()
        assert not random_model(rank=rank).connectivity.diagonal().any()
        assert random_model(rank=rank).connectivity.any()


def test_low_rank_learns_from_its_start():
    model = MessageModel(6, MessageConfig(rank=2))
    model(torch.randn(3, 6)).square().sum().backward()
    assert model.weights.left.grad.any()


def test_rank_bounds_the_rank_up_to_the_diagonal():
    weights = random_model(20, rank=3).weights
    product = (weights.left @ weights.right).detach()
    assert torch.linalg.matrix_rank(product) == 3
    off_diagonal = ~torch.eye(20, dtype=torch.bool)
    torch.testing.assert_close(weights()[off_diagonal], product[off_diagonal])


def test_projection_keeps_one_sign_per_sender():
    model = random_model()
    before = model.connectivity.detach().clone()
    signs = torch.tensor([1.0, -1.0] * 4 + [1.0])

    model.weights.project(signs)

    after = model.connectivity
    assert (after * signs >= 0).all()
    kept = before * signs > 0
    torch.testing.assert_close(after[kept], before[kept])
    assert not after[~kept].any()


def test_one_type_has_equal_fixed_embeddings():
    model = MessageModel(5, MessageConfig(one_type=True))
    assert not model.embeddings.requires_grad
    assert (model.embeddings == model.embeddings[0]).all()


def test_the_same_seed_gives_the_same_model():
    first, second = random_model(), random_model()
    for mine, theirs in zip(first.parameters(), second.parameters()):
        assert torch.equal(mine, theirs)
