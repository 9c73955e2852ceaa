"""Which input reaches which synapse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.models.elm.routing import route


def test_neuronio_tables_equal_the_reference(reference):
    expected = np.load(reference / "elm" / "routing.npz")
    cases = [name.partition(":")[2] for name in expected if name.startswith("idx")]
    assert len(cases) == 6
    for case in cases:
        index, connected = route("neuronio_routing", *(int(part) for part in case.split(":")))
        np.testing.assert_array_equal(index.numpy(), expected[f"idx:{case}"])
        np.testing.assert_array_equal(connected.numpy(), expected[f"mask:{case}"])


@pytest.mark.parametrize(
    ("num_input", "num_branch", "per_branch"),
    [(1, 1, 1), (1, 3, 2), (7, 7, 1), (7, 9, 3), (8, 1, 8), (9, 4, 3), (9, 4, 20), (1278, 45, 100)],
)
def test_neuronio_routing_has_its_closed_form(num_input, num_branch, per_branch):
    index, connected = route("neuronio_routing", num_input, num_branch, per_branch)
    stride = -(-num_input // num_branch)
    for branch in range(num_branch):
        for k in range(per_branch):
            place, synapse = branch * stride + k, branch * per_branch + k
            assert connected[synapse] == (place < num_input)
            place = min(place, num_input - 1)
            assert index[synapse] == (num_input // 2) * (place % 2) + place // 2


def test_places_of_branches_cover_all_inputs_where_these_are_even():
    index, connected = route("neuronio_routing", 1278, 45, 100)
    assert connected.sum() == 4282
    assert index[connected].unique().tolist() == list(range(1278))


def test_random_routing_depends_on_its_seed_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, connected = route("random_routing", 20, 10, 30, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(first, route("random_routing", 20, 10, 30, seed=3)[0])
    assert not torch.equal(first, route("random_routing", 20, 10, 30, seed=4)[0])
    assert connected.all()
    assert first.shape == connected.shape == (300,)
    assert first.unique().tolist() == list(range(20))  # any input, some several times


def test_random_routing_is_drawn_alike_for_every_device():
    with torch.device("meta"):
        index, connected = route("random_routing", 20, 10, 30)
    assert index.device == connected.device == torch.device("meta")


def test_without_routing_each_input_has_a_synapse_of_its_own():
    index, connected = route(None, 12, 3, 4)
    assert (index.shape, connected.shape) == ((0,), (0,))
    assert (index.dtype, connected.dtype) == (torch.int64, torch.bool)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, 12, 3, 5), "15 synapses for num_input=12; .* num_branch or num_synapse_per_branch"),
        (("neuronio_routing", 1278, 45, 28), "num_synapse_per_branch >= 29"),
        (("neuronio", 12, 3, 5), "input_to_synapse_routing must be one of .*found 'neuronio'"),
        ((["random_routing"], 12, 3, 5), "input_to_synapse_routing must be one of"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        route(*arguments)
