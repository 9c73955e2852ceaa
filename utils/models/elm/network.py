"""ELM neurons in layers, with what stands before and behind them for other tasks than spikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, model_validator
from torch import Tensor, nn

from utils.config import Config, ConfigError, validate_config
from utils.models.elm.base import ELMState, ELMTrace
from utils.models.elm.fronts import Embedding, OneHot, Projection
from utils.models.elm.neuron import ELMv1, ELMv2, build_neuron
from utils.models.elm.recurrence import Events

Front = Literal["one_hot", "embedding", "projection"]
Readout = Literal["last", "mean", "every"]


class ELMNetworkConfig(Config):
    """Arguments of :class:`ELMNetwork`."""

    num_input: int = Field(ge=1)
    layers: tuple[dict[str, Any], ...] = Field(min_length=1)
    front: Front | None = None
    num_channels: int | None = Field(None, ge=1)
    readout: Readout = "every"

    @model_validator(mode="after")
    def _channels_where_they_are_learnt(self) -> ELMNetworkConfig:
        learnt = self.front in ("embedding", "projection")
        if learnt != (self.num_channels is not None):
            raise ValueError("num_channels belongs to the fronts embedding and projection")
        return self


class NetworkState(NamedTuple):
    """What a network carries from one stretch of time to the next."""

    layers: tuple[ELMState, ...]

    def detach(self) -> NetworkState:
        """Without its history: truncates back-propagation through time."""
        return NetworkState(tuple(state.detach() for state in self.layers))


class NetworkTrace(NamedTuple):
    """What happened in a network."""

    output: Tensor  # (batch, time, output) of every step
    layers: tuple[ELMTrace, ...]
    state: NetworkState  # after the last step


class ELMNetwork(nn.Module):
    """Layers of ELM neurons; the outputs of a layer are the inputs of the next.

    Parameters
    ----------
    num_input : channels of the inputs; for tokens, the size of the vocabulary.
    layers : arguments of the neuron of each layer but ``num_input``, as of :class:`ELMv2`, or with
        ``version="v1"`` of :class:`ELMv1`. The ``num_output`` of the last layer is that of the
        network: classes, values, or for a language model the vocabulary.
    front : what the first layer hears of inputs (batch, time, num_input) or spikes: themselves
        (None), or a learnt signed ``"projection"``; and of tokens (batch, time), whole numbers
        below ``num_input``: a channel for each (``"one_hot"``), or a learnt ``"embedding"``.
    num_channels : size of the projection or embedding.
    readout : ``forward`` gives the output of ``"every"`` step (batch, time, output), of the
        ``"last"`` one, or their ``"mean"`` over time (batch, output).

    Raises
    ------
    ConfigError
        Arguments that make no network; the message names the layer and the argument.
    """

    def __init__(
        self,
        num_input: int,
        layers: Sequence[Mapping[str, Any]],
        front: Front | None = None,
        num_channels: int | None = None,
        readout: Readout = "every",
    ) -> None:
        super().__init__()
        arguments = {
            "num_input": num_input,
            "layers": layers,
            "front": front,
            "num_channels": num_channels,
            "readout": readout,
        }
        self.config = validate_config(ELMNetworkConfig, arguments, "ELMNetwork")
        self.num_input, self.readout = self.config.num_input, readout
        self.front = _front(self.config)
        self.layers = nn.ModuleList()
        width = num_channels or self.num_input
        for place, layer in enumerate(self.config.layers):
            self.layers.append(_layer(place, layer, width))
            width = self.layers[-1].num_output
        self.num_output = width

    def forward(self, inputs: Tensor | Events) -> Tensor:
        """What the read-out makes of inputs (batch, time, num_input) or tokens (batch, time)."""
        return read_out(self.run(inputs).output, self.readout)

    def forward_events(self, idx: Tensor, ptr: Tensor, val: Tensor | None = None) -> Tensor:
        """The same for spikes, without a front; arguments as of :meth:`ELMv1.forward_events`."""
        ptr = ptr[None] if ptr.ndim == 1 else ptr
        return self.forward(Events(idx, ptr, val))

    def run(self, inputs: Tensor | Events, state: NetworkState | None = None) -> NetworkTrace:
        """Go on from ``state`` (from rest where None), and record every layer.

        Raises
        ------
        ValueError
            Inputs that are not what the front expects, or a state of another network.
        """
        before = [None] * len(self.layers) if state is None else state.layers
        if len(before) != len(self.layers):
            raise ValueError(f"state must be of {len(self.layers)} layers, found {len(before)}")
        heard, traces = self.front(inputs), []
        for layer, start in zip(self.layers, before):
            traces.append(layer.run(heard, start))
            heard = traces[-1].output
        after = NetworkState(tuple(trace.state for trace in traces))
        return NetworkTrace(heard, tuple(traces), after)

    def save(self, folder: str | Path, **about: Any) -> Path:
        """Keep the network in a folder; :func:`utils.models.elm.load_model` brings it back."""
        from utils.models.elm.store import save_elm

        return save_elm(self, folder, **about)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the constructor was given."""
        return self.config.model_dump()


def read_out(outputs: Tensor, readout: Readout) -> Tensor:
    """(batch, time, output) of every step, or (batch, output) of the last, or their mean."""
    if readout == "last":
        return outputs[:, -1]
    return outputs.mean(dim=1) if readout == "mean" else outputs


def _front(config: ELMNetworkConfig) -> nn.Module:
    if config.front == "one_hot":
        return OneHot(config.num_input)
    if config.front == "embedding":
        return Embedding(config.num_input, config.num_channels)
    if config.front == "projection":
        return Projection(config.num_input, config.num_channels)
    return nn.Identity()


def _layer(place: int, arguments: Mapping[str, Any], num_input: int) -> ELMv1 | ELMv2:
    arguments = dict(arguments)
    version = arguments.pop("version", "v2")
    try:
        if "num_input" in arguments:
            raise ConfigError("num_input follows from what is before the layer; leave it out")
        return build_neuron(version, {"num_input": num_input, **arguments})
    except ConfigError as error:
        raise ConfigError(f"ELMNetwork: layers[{place}]: {error}") from None
