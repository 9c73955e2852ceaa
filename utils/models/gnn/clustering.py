"""Neurons of one type share an embedding: the median of those that the type's neurons have."""

from __future__ import annotations

import torch

from utils.models.gnn.config import Clustering
from utils.models.gnn.messages import MessageModel
from utils.models.gnn.types import find_types

LEVELS = torch.linspace(-2.5, 2.5, 51)  # of the activity, in sd, where neurons are compared


@torch.no_grad()
def cluster_embeddings(model: MessageModel, clustering: Clustering) -> None:
    """Replace each embedding by its cluster's median; nothing where no types are distinct.

    Embeddings have no scale of their own: clustered is what they make of phi.
    """
    embeddings = model.embeddings
    levels = LEVELS.to(embeddings.device)[:, None].expand(-1, model.n_neurons)
    curves = model.phi(levels, embeddings)  # (level, neuron)
    labels = find_types(curves, clustering.n_types, clustering.max_types).labels
    if not labels.any():
        return
    for label in set(labels.tolist()):
        members = torch.from_numpy(labels == label).to(embeddings.device)
        embeddings[members] = embeddings[members].median(dim=0).values
