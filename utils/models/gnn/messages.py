"""The message model: what a neuron does by itself, and the weighted sum of what others send.

    du_i/dt = phi(u_i, a_i) + sum_j W_ij psi(u_j [, a_j] [, u_i, a_i]) + I_i

psi and phi are small networks that all neurons share, ``a`` are learnt embeddings of the neurons.
Where psi depends on the sender only, all messages are one matrix product. Only where it depends on
both ends is it evaluated for every pair of neurons, in chunks that bound the memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from utils.models.gnn.config import MessageConfig

EMBEDDING_SPREAD = 0.1  # sd of embeddings at the start


class MessageModel(nn.Module):
    """Derivative of the activity of all neurons, from the activity of all neurons.

    Training starts without connections: W at 0 needs far fewer steps than a random W.

    Parameters
    ----------
    n_neurons : number of neurons.
    config : architecture.
    activity_scale, rate_scale : standard deviations of activity and derivative; psi and phi see
        and give numbers in these units.
    """

    def __init__(
        self,
        n_neurons: int,
        config: MessageConfig | None = None,
        *,
        activity_scale: float = 1.0,
        rate_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.config = config = config or MessageConfig()
        self.n_neurons = n_neurons
        self.activity_scale, self.rate_scale = float(activity_scale), float(rate_scale)
        spread = 0.0 if config.one_type else EMBEDDING_SPREAD
        embeddings = 1 + spread * torch.randn(n_neurons, config.embedding_dim)
        self.embeddings = nn.Parameter(embeddings, requires_grad=not config.one_type)
        self.phi = NodeNetwork(config, embedded=True)
        if config.psi_sees == "both_ends":
            self.psi = EdgeNetwork(config)
        else:
            self.psi = NodeNetwork(config, embedded=config.psi_sees == "sender_embedding")
        self.weights = Connections(n_neurons, config.rank)

    @property
    def connectivity(self) -> Tensor:
        """W, (neuron, neuron): [post, pre], zero diagonal."""
        return self.weights()

    def forward(self, activity: Tensor, inputs: Tensor | None = None) -> Tensor:
        """(.., neuron) activity and inputs -> (.., neuron) derivative."""
        scaled = activity / self.activity_scale
        rates = self.rate_scale * (self.phi(scaled, self.embeddings) + self.messages(scaled))
        return rates if inputs is None else rates + inputs

    def messages(self, scaled: Tensor) -> Tensor:
        """Sums of the messages that each neuron receives, (.., neuron) -> (.., neuron)."""
        if not isinstance(self.psi, EdgeNetwork):
            return self.psi(scaled, self.embeddings) @ self.connectivity.mT
        frames = scaled.reshape(-1, self.n_neurons)
        return self._edge_wise(frames).view_as(scaled)

    def _edge_wise(self, scaled: Tensor) -> Tensor:
        """Messages from all to all, for so many receivers at once as the memory allows."""
        sent, received = self.psi.ends(scaled, self.embeddings)  # (frame, neuron, hidden)
        at_once = max(self.config.edges_at_once // scaled.numel(), 1)
        sums = [
            checkpoint(self._sums, sent, some, weights, use_reentrant=False)
            for some, weights in zip(
                received.split(at_once, dim=1), self.connectivity.split(at_once)
            )
        ]
        return torch.cat(sums, dim=1)

    def _sums(self, sent: Tensor, received: Tensor, weights: Tensor) -> Tensor:
        """Halves of the first layer (frame, neuron, hidden) and W -> (frame, receiver)."""
        psi = self.psi(sent[:, None], received[:, :, None])  # (frame, receiver, sender)
        return torch.einsum("frs,rs->fr", psi, weights)


class Connections(nn.Module):
    """W without its diagonal, free or as a product of two narrow matrices."""

    def __init__(self, n_neurons: int, rank: int | None) -> None:
        super().__init__()
        self.rank = rank
        self.register_buffer("off_diagonal", 1 - torch.eye(n_neurons), persistent=False)
        if rank is None:
            self.values = nn.Parameter(torch.zeros(n_neurons, n_neurons))
        else:  # one factor at 0: the product is, but not its gradient
            self.left = nn.Parameter(torch.zeros(n_neurons, rank))
            self.right = nn.Parameter(torch.randn(rank, n_neurons) / rank**0.5)

    def forward(self) -> Tensor:
        """(post, pre)."""
        values = self.values if self.rank is None else self.left @ self.right
        return values * self.off_diagonal

    @torch.no_grad()
    def project(self, signs: Tensor) -> None:
        """Set weights to 0 that do not have their sender's sign (neuron,)."""
        self.values.copy_(torch.where(self.values * signs > 0, self.values, 0.0))


class NodeNetwork(nn.Module):
    """A function of the activity of a neuron, and of its embedding where ``embedded``."""

    def __init__(self, config: MessageConfig, embedded: bool) -> None:
        super().__init__()
        self.embedded = embedded
        self.entry = Entry(config.embedding_dim if embedded else 0, config.hidden)
        self.rest = _after_entry(config)

    def forward(self, scaled: Tensor, embeddings: Tensor) -> Tensor:
        """(.., neuron), (neuron, dim) -> (.., neuron)."""
        return self.rest(self.entry(scaled, embeddings)).squeeze(-1)


class EdgeNetwork(nn.Module):
    """A function of the activities and embeddings of a sender and a receiver."""

    def __init__(self, config: MessageConfig) -> None:
        super().__init__()
        self.sender = Entry(config.embedding_dim, config.hidden)
        self.receiver = Entry(config.embedding_dim, config.hidden)
        self.rest = _after_entry(config)

    def ends(self, scaled: Tensor, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """What the first layer makes of senders and of receivers, (.., neuron, hidden)."""
        return self.sender(scaled, embeddings), self.receiver(scaled, embeddings)

    def forward(self, sent: Tensor, received: Tensor) -> Tensor:
        """psi of pairs, from the two halves of their first layer, which is a sum over both."""
        return self.rest(sent + received).squeeze(-1)


class Entry(nn.Module):
    """First layer, for (activity, embedding) or, with ``embedding_dim`` 0, for activity alone."""

    def __init__(self, embedding_dim: int, hidden: int) -> None:
        super().__init__()
        first = nn.Linear(1 + embedding_dim, hidden)
        self.weight, self.bias = first.weight, first.bias

    def forward(self, scaled: Tensor, embeddings: Tensor) -> Tensor:
        """(.., neuron), (neuron, dim) -> (.., neuron, hidden)."""
        features = scaled[..., None]
        if self.weight.shape[1] > 1:
            shape = torch.broadcast_shapes(scaled.shape, embeddings.shape[:-1])
            parts = features.expand(*shape, 1), embeddings.expand(*shape, -1)
            features = torch.cat(parts, dim=-1)
        return nn.functional.linear(features, self.weight, self.bias)


def _after_entry(config: MessageConfig) -> nn.Sequential:
    layers: list[nn.Module] = [nn.ReLU()]
    for _ in range(config.layers - 2):
        layers += [nn.Linear(config.hidden, config.hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(config.hidden, 1))
