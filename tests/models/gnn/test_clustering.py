"""Embeddings of neurons of one type."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.models.gnn.clustering import cluster_embeddings
from utils.models.gnn.config import Clustering, MessageConfig
from utils.models.gnn.messages import MessageModel

LABELS = np.repeat([0, 1, 2], 11)


def model_of_three_types(spread: float = 0.05) -> MessageModel:
    torch.manual_seed(0)
    model = MessageModel(33, MessageConfig(hidden=32))
    centres = torch.tensor([[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    model.embeddings.data = centres[LABELS] + spread * torch.randn(33, 2)
    return model


@pytest.mark.parametrize("n_types", [3, None])
def test_embeddings_become_the_median_of_their_type(n_types):
    model = model_of_three_types()
    before = model.embeddings.detach().numpy().copy()

    cluster_embeddings(model, Clustering(n_types=n_types))

    for label in range(3):
        median = np.median(before[label == LABELS], axis=0)
        np.testing.assert_allclose(
            model.embeddings[label == LABELS].detach(), np.tile(median, (11, 1)), rtol=1e-6
        )


def test_nothing_changes_without_distinct_types():
    model = model_of_three_types()
    torch.nn.init.normal_(model.embeddings)
    before = model.embeddings.detach().clone()
    cluster_embeddings(model, Clustering())
    assert torch.equal(model.embeddings, before)


@pytest.mark.parametrize("n_neurons", [1, 2])
def test_too_few_neurons_for_types(n_neurons):
    model = MessageModel(n_neurons)
    before = model.embeddings.detach().clone()
    cluster_embeddings(model, Clustering(n_types=2))
    assert torch.equal(model.embeddings, before)
