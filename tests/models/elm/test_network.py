"""Networks of ELM neurons: layers, fronts, read-outs, pieces."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch.nn import functional

from utils.config import ConfigError
from utils.models.elm import ELMNetwork, ELMNetworkConfig, ELMv1, ELMv2, NetworkState
from utils.models.elm.recurrence import events_from_dense

LAYERS = (
    {
        "version": "v1", "num_output": 6, "num_memory": 5, "num_branch": 3,
        "num_synapse_per_branch": 4, "input_to_synapse_routing": "random_routing",
        "learn_synapse_tau": True,
    },
    {"num_output": 4, "num_memory": 7, "mlp_num_layers": 0},
)  # fmt: skip
FRONTS = {None: None, "one_hot": None, "embedding": 8, "projection": 8}


@pytest.fixture(params=FRONTS, ids=str)
def front(request):
    return request.param


@pytest.fixture
def network():
    """Two layers behind any front, for 12 channels or tokens, each layer on the same backend."""

    def network(front=None, readout="every", backend="reference"):
        torch.manual_seed(0)
        layers = [layer | {"backend": backend} for layer in LAYERS]
        return ELMNetwork(12, layers, front, FRONTS[front], readout)

    return network


@pytest.fixture
def inputs(spikes):
    def inputs(front, time=20):
        tokens = torch.randint(12, (3, time), generator=torch.Generator().manual_seed(0))
        return tokens if front in ("one_hot", "embedding") else spikes(time=time)

    return inputs


def test_layers_hear_one_another(network, inputs):
    both, X = network(), inputs(None)
    trace = both.run(X)
    first, second = both.layers
    assert (type(first), type(second)) == (ELMv1, ELMv2)
    hidden = first(X)
    assert torch.equal(trace.layers[0].output, hidden)
    assert torch.equal(trace.output, second(hidden))
    assert torch.equal(both(X), trace.output)
    assert trace.output.shape == (3, 20, both.num_output) == (3, 20, 4)


def test_fronts(network, inputs):
    tokens, X = inputs("embedding"), inputs(None)
    found = network("one_hot").run(tokens).layers[0]
    expected = network().run(functional.one_hot(tokens, 12)).layers[0]
    torch.testing.assert_close(found.output, expected.output)
    embedded = network("embedding")
    heard = embedded.front.weight[tokens]
    torch.testing.assert_close(embedded.layers[0](heard), embedded.run(tokens).layers[0].output)
    projected = network("projection")
    heard = X @ projected.front.weight.T + projected.front.bias
    torch.testing.assert_close(projected.layers[0](heard), projected.run(X).layers[0].output)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
def test_tokens_of_any_integer_type(network, inputs, dtype):
    for front in ("one_hot", "embedding"):
        tokens = inputs(front)
        assert torch.equal(network(front)(tokens.to(dtype)), network(front)(tokens))


def test_spikes_need_no_front(network, inputs):
    X, events = inputs(None), events_from_dense(inputs(None))
    torch.testing.assert_close(network().forward_events(*events), network()(X))
    one = network(readout="mean").forward_events(events.idx, events.ptr[1], events.val)
    torch.testing.assert_close(one, network(readout="mean")(X[1:2]))


def test_readouts(network, inputs, front):
    X = inputs(front)
    every = network(front)(X)
    assert torch.equal(network(front, "last")(X), every[:, -1])
    torch.testing.assert_close(network(front, "mean")(X), every.mean(dim=1))


def test_pieces_equal_one_run_also_in_their_gradients(network, inputs, front, backend):
    whole, X = network(front, backend=backend).double(), inputs(front)
    pieces, state, outputs = copy.deepcopy(whole), None, []
    for piece in X.split([1, 6, 13], dim=1):
        trace = pieces.run(piece, state)
        state = trace.state
        outputs.append(trace.output)
    expected = whole.run(X)
    torch.testing.assert_close(torch.cat(outputs, dim=1), expected.output)
    torch.testing.assert_close(state, expected.state)
    expected.output.square().sum().backward()
    torch.cat(outputs, dim=1).square().sum().backward()
    for (name, one), other in zip(whole.named_parameters(), pieces.parameters()):
        torch.testing.assert_close(one.grad, other.grad, msg=name)
        assert one.grad.abs().sum() > 0, name


def test_detached_state_has_no_history(network, inputs):
    state = network().run(inputs(None)).state
    assert all(tensor.requires_grad for layer in state.layers for tensor in layer)
    detached = state.detach()
    torch.testing.assert_close(detached, state)
    assert not any(tensor.requires_grad for layer in detached.layers for tensor in layer)


def test_copies_give_the_same(network, inputs, front):
    net, X = network(front), inputs(front)
    assert torch.equal(copy.deepcopy(net)(X), net(X))
    assert torch.equal(pickle.loads(pickle.dumps(net))(X), net(X))
    again = ELMNetwork(**net.arguments)
    again.load_state_dict(net.state_dict())
    assert torch.equal(again(X), net(X))


def test_autocast_gives_what_a_rounded_front_gives(network, inputs, front):
    net, X = network(front), inputs(front)
    with torch.autocast("cpu", torch.bfloat16):
        output = net(X)
    assert output.dtype == torch.float32
    tolerance = 0.05 if front == "projection" else 0
    torch.testing.assert_close(output, net(X), rtol=0, atol=tolerance)


# ------------------------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_input": 0}, "'num_input' = 0"),
        ({"layers": []}, r"'layers' = \[\]"),
        ({"front": "tokens"}, "'front' = 'tokens'.*'one_hot', 'embedding' or 'projection'"),
        ({"front": "embedding"}, "num_channels belongs to"),
        ({"num_channels": 5}, "num_channels belongs to"),
        ({"readout": "first"}, "'readout' = 'first'"),
        ({"layers": [{}]}, r"layers\[0\]: ELMv2 needs num_output"),
        ({"layers": [{"num_output": 3, "num_input": 12}]}, r"layers\[0\]: num_input follows"),
        ({"layers": [*LAYERS, {"version": "v3"}]}, r"layers\[2\]: no ELM neuron of version 'v3'"),
        (
            {"layers": [{"num_output": 3, "memory": 5}]},
            "no argument 'memory'; did you mean num_mem",
        ),
        ({"layers": [{"num_output": 3, "delta_t": 0}]}, "delta_t must be a positive finite number"),
        ({"layers": [{"num_output": 3, "num_branch": 5}]}, "num_branch or num_synapse_per_branch"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        ELMNetwork(**{"num_input": 12, "layers": LAYERS} | change)


def test_wrong_inputs_are_refused(network, inputs):
    tokens, X = inputs("one_hot"), inputs(None)
    for front in ("one_hot", "embedding"):
        net = network(front)
        for wrong in (X, tokens.float(), tokens[0], events_from_dense(X)):
            with pytest.raises(ValueError, match=r"tokens must be whole numbers \(batch, time\)"):
                net(wrong)
        for wrong in (tokens + 1, tokens - 1):
            with pytest.raises(
                ValueError, match="tokens must lie between 0 and num_input - 1 = 11"
            ):
                net(wrong)
    for wrong in (X[:, :, 1:], events_from_dense(X)):
        with pytest.raises(ValueError, match=r"inputs must be \(batch, time, 12\)"):
            network("projection")(wrong)
    with pytest.raises(ValueError, match=r"inputs must be \(batch, time >= 1, num_input = 12\)"):
        network()(X[:, :, 1:])
    state = network().run(X).state
    with pytest.raises(ValueError, match="state must be of 2 layers, found 1"):
        network().run(X, NetworkState(state.layers[:1]))
    with pytest.raises(ValueError, match="state must have a dendrite"):
        network().run(X, NetworkState(state.layers[::-1]))


def test_configuration_builds_the_network():
    config = ELMNetworkConfig(num_input=12, layers=LAYERS)
    assert ELMNetwork(**config.model_dump()).config == config
