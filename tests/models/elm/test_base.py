"""Running ELM neurons: records, pieces, spikes, number types, memory, copies."""

from __future__ import annotations

import copy
import io
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from utils.models.elm import ELMState, ELMv1, ELMv2
from utils.models.elm.recurrence import Events, events_from_dense

INPUTS, TIME = 12, 40  # of the neurons and spikes of the fixtures


def pieces(X: Tensor, lengths: list[int]) -> tuple[Tensor, ...]:
    return X.split(lengths, dim=1)


# ------------------------------------------------------------------------------- shapes and records


def test_records(make, spikes, version):
    neuron, X = make(version), spikes()
    trace = neuron.run(X)
    assert trace.output.shape == (3, TIME, 2)
    assert trace.branch.shape == (3, TIME, 3)
    assert trace.memory.shape == (3, TIME, 5)
    torch.testing.assert_close(neuron(X), trace.output, rtol=0, atol=0)
    outputs, dendrite, memory = neuron.neuronio_viz_forward(X)
    assert dendrite.shape == (3, TIME, 30 if version is ELMv1 else 3)
    sums = dendrite.unflatten(2, (3, -1)).sum(dim=3)
    torch.testing.assert_close(sums, trace.branch)
    assert torch.equal(memory, trace.memory)
    torch.testing.assert_close(outputs[..., 0], trace.output[..., 0].sigmoid())
    torch.testing.assert_close(outputs[..., 1], trace.output[..., 1] * 10)


def test_neuronio_outputs_need_two():
    with pytest.raises(ValueError, match="two outputs"):
        ELMv2(4, 1).neuronio_eval_forward(torch.zeros(1, 2, 4))


def test_no_sample_and_a_single_frame(make, spikes, version, backend):
    neuron = make(version, backend=backend)
    assert neuron(spikes()[:0]).shape == (0, TIME, 2)
    none = Events(torch.zeros(0, dtype=torch.int64), torch.zeros(0, TIME + 1, dtype=torch.int64))
    assert neuron.forward_events(*none).shape == (0, TIME, 2)
    X = spikes()
    torch.testing.assert_close(neuron(X[:, :1]), neuron(X)[:, :1])


def test_samples_do_not_see_each_other(make, spikes, version, backend):
    neuron, X = make(version, backend=backend), spikes(batch=11)
    order = torch.randperm(11)
    torch.testing.assert_close(neuron(X[order]), neuron(X)[order], rtol=0, atol=1e-6)
    X[4, 20, 3] = math.nan
    output = neuron(X)
    missing = output.isnan().all(dim=2)
    assert missing[4, 20:].all()
    assert missing.sum() == TIME - 20


@pytest.mark.parametrize("shape", [(3, TIME), (3, 0, INPUTS), (3, TIME, INPUTS + 1)])
def test_inputs_of_another_shape_are_refused(make, shape):
    with pytest.raises(ValueError, match=r"inputs must be \(batch, time >= 1, num_input = 12\)"):
        make(ELMv1)(torch.zeros(shape))


# ------------------------------------------------------------------------------------------- pieces


@pytest.mark.parametrize("learn", [False, True])
def test_pieces_equal_one_run_also_in_their_gradients(
    make, spikes, version, dendrite, backend, learn
):
    neuron = make(version, dendrite, backend, learn).double()
    X = spikes().double()
    whole = neuron.run(X)
    whole.output.square().sum().backward()
    expected = {name: value.grad.clone() for name, value in neuron.named_parameters()}
    neuron.zero_grad()
    state, outputs = None, []
    for piece in pieces(X, [1, 7, 13, 1, 18]):
        trace = neuron.run(piece, state)
        state = trace.state
        outputs.append(trace.output)
    output = torch.cat(outputs, dim=1)
    torch.testing.assert_close(output, whole.output)
    torch.testing.assert_close(tuple(state), tuple(whole.state))
    output.square().sum().backward()
    for name, value in neuron.named_parameters():
        torch.testing.assert_close(value.grad, expected[name], msg=name)


def test_detached_state_ends_the_gradient(make, spikes, version, backend):
    neuron, X = make(version, backend=backend), spikes().requires_grad_()
    first, second = pieces(X, [20, 20])
    state = neuron.run(first).state
    neuron.run(second, state).output.sum().backward()
    assert X.grad[:, :20].abs().sum() > 0
    X.grad = None
    first, second = pieces(X, [20, 20])
    state = neuron.run(first).state.detach()
    neuron.run(second, state).output.sum().backward()
    assert X.grad[:, :20].abs().sum() == 0
    assert X.grad[:, 20:].abs().sum() > 0


def test_state_of_another_shape_is_refused(make, spikes, version):
    neuron = make(version)
    state = neuron.run(spikes(1)).state
    with pytest.raises(ValueError, match=r"state must have a dendrite \(3, 3\) and a memory"):
        neuron.run(spikes(3), state)
    with pytest.raises(ValueError, match=r"memory \(3, 5\), found \(3, 3\) and \(3, 4\)"):
        neuron.run(spikes(3), ELMState(torch.zeros(3, 3), torch.zeros(3, 4)))


# ------------------------------------------------------------------------------------------- spikes


@pytest.mark.parametrize("learn", [False, True])
def test_events_equal_dense_inputs(make, spikes, version, dendrite, backend, learn):
    neuron = make(version, dendrite, backend, learn).double()
    X = torch.rand(3, TIME, INPUTS, dtype=torch.float64) * (spikes() > 0)
    expected = neuron.run(X)
    found = neuron.run(events_from_dense(X))
    torch.testing.assert_close(found.output, expected.output)
    torch.testing.assert_close(found.branch, expected.branch)


def test_repeated_events_add_up_and_samples_may_lie_apart(make, dendrite, backend):
    neuron = make(ELMv2, dendrite, backend)
    idx = torch.tensor([9, 3, 3, 5, 3, 0])  # the first belongs to nobody
    ptr = torch.tensor([[4, 5, 6], [1, 3, 4]])  # samples in any order
    X = torch.zeros(2, 2, INPUTS)
    X[0, 0, 3], X[0, 1, 0], X[1, 0, 3], X[1, 1, 5] = 1, 1, 2, 1
    torch.testing.assert_close(neuron.forward_events(idx, ptr), neuron(X))
    sizes = torch.tensor([7, 1, -1, 1, 1, 1])
    X[1, 0, 3] = 0
    torch.testing.assert_close(neuron.forward_events(idx, ptr, sizes), neuron(X))
    one = neuron.forward_events(idx.to(torch.int16), ptr[0].to(torch.int32))
    torch.testing.assert_close(one, neuron(X[:1]))


def test_sizes_of_events_have_a_gradient(make, spikes, version, dendrite, backend):
    neuron, X = make(version, dendrite, backend).double(), spikes().double().requires_grad_()
    idx, ptr, val = events_from_dense(X)
    neuron.forward_events(idx, ptr, val.requires_grad_()).square().sum().backward()
    neuron(X).square().sum().backward()
    torch.testing.assert_close(val.grad, X.grad[X != 0])


def test_events_of_few_branches_are_never_made_dense(make, spikes, monkeypatch):
    monkeypatch.delattr(Events, "dense")
    for dendrite in ("neighbours", "random", "single", "neuronio"):
        neuron = make(ELMv1, dendrite)
        assert neuron.forward_events(*events_from_dense(spikes())).shape == (3, TIME, 2)


INDEX, PTR = torch.tensor([1, 2]), torch.tensor([[0, 1, 2]])


@pytest.mark.parametrize(
    ("idx", "ptr", "val", "message"),
    [
        (INDEX + 10, PTR, None, "idx must lie between 0 and num_input - 1 = 11, found 11 to 12"),
        (INDEX - 2, PTR, None, "idx must lie between 0"),
        (INDEX.float(), PTR, None, "idx must be signed integers"),
        (INDEX.to(torch.uint16), PTR, None, "idx must be signed integers"),
        (INDEX > 1, PTR, None, "idx must be signed integers"),
        (INDEX[None], PTR, None, "idx must be signed integers"),
        (INDEX, PTR.to(torch.uint32), None, "ptr must be signed integers"),
        (INDEX, PTR[:, :1], None, "with time >= 1"),
        (INDEX, torch.tensor(0), None, "ptr must be signed integers"),
        (INDEX, PTR + 1, None, "ptr must rise along time and stay between 0 and the 2 events"),
        (INDEX, PTR.flip(1), None, "ptr must rise"),
        (INDEX, PTR, torch.ones(3), r"val must have the shape of idx \(2,\)"),
    ],
)
def test_wrong_events_are_refused(make, idx, ptr, val, message):
    with pytest.raises(ValueError, match=message):
        make(ELMv1).forward_events(idx, ptr, val)


# ------------------------------------------------------------------------------------- number types


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.int64, torch.float16, torch.bfloat16, torch.float64]
)
def test_inputs_of_any_type(make, spikes, version, dendrite, backend, dtype):
    neuron, X = make(version, dendrite, backend), spikes()
    output = neuron(X.to(dtype))
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, neuron(X))
    torch.testing.assert_close(neuron(X > 0), neuron((X > 0).float()))


@pytest.mark.parametrize("learn", [False, True])
def test_autocast_changes_nothing(make, spikes, version, backend, learn):
    neuron, X = make(version, backend=backend, learn=learn), spikes(time=300)
    with torch.autocast("cpu", torch.bfloat16):
        output = neuron(X)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, neuron(X), rtol=0, atol=0)


def test_low_precision_parameters_run(make, spikes, version, backend):
    for dtype in (torch.bfloat16, torch.float16):
        output = make(version, backend=backend).to(dtype)(spikes())
        assert output.dtype == dtype
        assert output.isfinite().all()


# -------------------------------------------------------------------------------------- memory used


def saved_bytes(neuron, X: Tensor) -> int:
    """What is kept for the gradient, each storage counted once."""
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = neuron(X)  # alive until counted, so that no address serves twice
    assert output.shape[2] == 2
    return sum(kept.values())


SIZES = ({"num_synapse_per_branch": 2}, {"num_synapse_per_branch": 200})


@pytest.mark.parametrize("learn", [False, True])
def test_memory_for_the_gradient_does_not_grow_with_synapses(make, spikes, version, backend, learn):
    X = spikes(batch=4, time=100)
    few, many = (
        saved_bytes(make(version, backend=backend, learn=learn, **size), X) for size in SIZES
    )
    added = 3 * (200 - 2)
    assert many - few <= 100 * added  # bytes: some numbers per synapse, none per synapse and frame


def test_nothing_is_kept_without_gradients(make, spikes, version):
    with torch.no_grad():
        assert saved_bytes(make(version), spikes()) == 0


# ----------------------------------------------------------------------------- copies and compiling


def test_copies_give_the_same(make, spikes, version, dendrite):
    neuron, X = make(version, dendrite, learn=True), spikes()
    expected = neuron(X)
    assert torch.equal(copy.deepcopy(neuron)(X), expected)
    assert torch.equal(pickle.loads(pickle.dumps(neuron))(X), expected)
    other = make(version, dendrite, learn=True)
    other._proto_w_s.data.zero_()
    file = io.BytesIO()
    torch.save(neuron.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert torch.equal(other(X), expected)
    torch.testing.assert_close(neuron.to("cpu").double()(X).float(), expected)


def test_state_dict_has_the_published_names(make, version):
    names = {
        *("_proto_w_s", "_proto_tau_m", "input_to_synapse_indices", "valid_indices_mask"),
        *("mlp.network.0.weight", "mlp.network.0.bias", "mlp.network.2.weight"),
        *("mlp.network.2.bias", "w_y.weight", "w_y.bias"),
        "tau_s" if version is ELMv1 else "tau_b",
    }
    assert make(version).state_dict().keys() == names
    assert make(version, learn=True).state_dict().keys() == names


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # torch's own
def test_compiling_leaves_it_as_it_is(make, spikes, version):
    neuron, X = make(version, learn=True), spikes()
    compiled = torch.compile(neuron, backend="eager")
    output = compiled(X)
    torch.testing.assert_close(output, neuron(X), rtol=0, atol=0)
    output.sum().backward()
    assert neuron._proto_w_s.grad.abs().sum() > 0


def test_threads_may_share_a_neuron(make, spikes, version, backend):
    neuron = make(version, backend=backend)
    batches = [spikes(seed=seed) for seed in range(8)]
    with torch.no_grad(), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda X: neuron(X).detach(), batches))
        for X, output in zip(batches, found):
            torch.testing.assert_close(output, neuron(X))
