"""What one would build without mesotwin: messages along the edges of a list, summed by scatter.

psi is evaluated on every edge of every graph of the batch. Peers share the parameters of one of our
models, so that values and gradients can be compared.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from utils.models.gnn.messages import EdgeNetwork, Entry, MessageModel


class ScatterModel(nn.Module):
    """Gather what edges need of their ends, evaluate psi on it, add the messages to receivers.

    Parameters
    ----------
    model : whose parameters it has.
    batch : graphs in a batch, each with all n (n - 1) edges.
    """

    def __init__(self, model: MessageModel, batch: int) -> None:
        super().__init__()
        self.model, self.batch = model, batch
        neurons = torch.arange(model.n_neurons)
        sender, receiver = torch.cartesian_prod(neurons, neurons).unbind(dim=1)
        pairs = torch.stack([sender, receiver])[:, sender != receiver]  # (2, edge)
        offsets = model.n_neurons * torch.arange(batch)[:, None, None]
        edges = (pairs + offsets).transpose(0, 1).flatten(1)  # (2, batch * edge)
        self.register_buffer("edges", edges.contiguous())
        self.register_buffer("pairs", pairs.repeat(1, batch))

    def forward(self, activity: Tensor) -> Tensor:
        """(batch, neuron) -> (batch, neuron)."""
        model = self.model
        u = (activity / model.activity_scale).reshape(-1, 1)  # (batch * neuron, 1)
        with_embeddings = torch.cat([u, model.embeddings.repeat(self.batch, 1)], dim=1)
        own = _chained([model.phi.entry], model.phi.rest, with_embeddings)
        rates = own + self.received(u if model.config.psi_sees == "sender" else with_embeddings)
        return model.rate_scale * rates.view_as(activity)

    def received(self, nodes: Tensor) -> Tensor:
        """Features (batch * neuron, feature) -> sums of messages by receiver."""
        sender, receiver = self.edges
        seen = nodes[sender]
        if isinstance(self.model.psi, EdgeNetwork):
            seen = torch.cat([seen, nodes[receiver]], dim=1)
        messages = self.edge_weights() * self.psi(seen)
        return messages.new_zeros(len(nodes), 1).index_add(0, receiver, messages)

    def psi(self, seen: Tensor) -> Tensor:
        """(edge, feature) -> (edge, 1)."""
        psi = self.model.psi
        both = isinstance(psi, EdgeNetwork)
        return _chained([psi.sender, psi.receiver] if both else [psi.entry], psi.rest, seen)

    def edge_weights(self) -> Tensor:
        """W_ij of each edge, (edge, 1)."""
        sender, receiver = self.pairs
        return self.model.connectivity[receiver, sender, None]


def pyg_model(model: MessageModel, batch: int) -> ScatterModel:
    """The same with torch_geometric's MessagePassing, for a psi of the sender.

    Raises
    ------
    ImportError
        torch_geometric is not installed.
    """
    from torch_geometric.nn import MessagePassing

    class Messages(MessagePassing):
        """Calls psi back on gathered senders, and sums."""

        def __init__(self, psi: object) -> None:
            super().__init__(aggr="add")
            self.psi = psi

        def forward(self, edges: Tensor, nodes: Tensor, weights: Tensor) -> Tensor:
            return self.propagate(edges, x=nodes, weights=weights)

        def message(self, x_j: Tensor, weights: Tensor) -> Tensor:
            return weights * self.psi(x_j)

    class PyGModel(ScatterModel):
        """Leaves gathering and scattering to torch_geometric."""

        def __init__(self) -> None:
            super().__init__(model, batch)
            self.passing = Messages(self.psi)

        def received(self, nodes: Tensor) -> Tensor:
            return self.passing(self.edges, nodes, self.edge_weights())

    return PyGModel()


def _chained(entries: list[Entry], rest: nn.Module, features: Tensor) -> Tensor:
    """A network on features side by side: one matrix and one bias make its first layer."""
    weight = torch.cat([entry.weight for entry in entries], dim=1)
    return rest(nn.functional.linear(features, weight, sum(entry.bias for entry in entries)))
