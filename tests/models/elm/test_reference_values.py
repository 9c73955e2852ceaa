"""Neurons of all kinds give what the official code gave on the same weights and inputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from utils.models.elm import ELMv1, ELMv2, load_official_checkpoint
from utils.models.elm.recurrence import events_from_dense

pytestmark = pytest.mark.reference
SPIKING = [f"fresh/{version}_neuronio_dm15" for version in ("v1", "v2")]
CONTINUOUS = [
    f"fresh/{version}_{kind}"
    for version, kinds in {
        "v1": ("plain", "branch_noroute", "random"),
        "v2": ("plain", "branch_noroute", "random", "nohidden"),
    }.items()
    for kind in kinds
]
PUBLISHED = [f"pretrained/num_memory_{size}" for size in (1, 15, 100)]
WITH_RECORDS = [name for name in SPIKING + CONTINUOUS + PUBLISHED if "random" not in name]
every_backend = pytest.mark.parametrize("backend", ["reference", "numba", "auto"])


class Case:
    """A folder of reference values and the neuron that it describes."""

    def __init__(self, root: Path, name: str, backend: str = "auto") -> None:
        folder = root / "elm" / name
        self.config = json.loads((folder / "model_config.json").read_text())
        version = {"v1": ELMv1, "v2": ELMv2}[self.config.pop("_class")]
        self.state = _tensors(folder / "state_dict.npz")
        self.neuron = version(**self.config, backend=backend)
        self.fresh = {name: value.clone() for name, value in self.neuron.state_dict().items()}
        self.neuron.load_state_dict(self.state)
        self.expected = _tensors(folder / "expected.npz")
        if "X" in self.expected:
            self.inputs = self.expected["X"]
        else:
            self.inputs = _tensors(root / "elm" / "neuronio_input.npz")["X"]


@every_backend
@pytest.mark.parametrize("name", SPIKING + CONTINUOUS + PUBLISHED)
def test_outputs(reference, name, backend):
    case = Case(reference, name, backend)
    with torch.no_grad():
        output = case.neuron(case.inputs)
        of_events = case.neuron.forward_events(*events_from_dense(case.inputs))
    _assert_close(output, case.expected["forward"])
    _assert_close(of_events, case.expected["forward"])


@every_backend
@pytest.mark.parametrize("name", WITH_RECORDS)
def test_neuronio_outputs_and_records(reference, name, backend):
    case = Case(reference, name, backend)
    with torch.no_grad():
        evaluated = case.neuron.neuronio_eval_forward(case.inputs)
        outputs, dendrite, memory = case.neuron.neuronio_viz_forward(case.inputs)
    assert torch.equal(outputs, evaluated) == bool(case.expected["viz_out_equals_eval"])
    _assert_close(evaluated, case.expected["neuronio_eval_forward"])
    _assert_close(memory, case.expected["viz_memory"], relative=2e-6)  # up to 8
    if "viz_first_state" in case.expected:
        _assert_close(dendrite, case.expected["viz_first_state"])
    else:
        _assert_synapses(dendrite, case)


@every_backend
@pytest.mark.parametrize("name", SPIKING + CONTINUOUS)
def test_loss_and_gradients(reference, name, backend):
    case = Case(reference, name, backend)
    loss = functional.mse_loss(case.neuron(case.inputs), case.expected["mse_target"])
    loss.backward()
    assert loss.item() == pytest.approx(case.expected["loss"].item(), abs=1e-6)
    gradients = {name: weight.grad for name, weight in case.neuron.named_parameters()}
    named = {k.removeprefix("grad:"): v for k, v in case.expected.items() if k.startswith("grad:")}
    assert gradients.keys() == named.keys()
    for key, truth in named.items():
        error = (gradients[key] - truth).abs().max() / truth.abs().max()
        assert error <= 1e-4, f"{key}: {error:.1e}"


@pytest.mark.parametrize("name", SPIKING + PUBLISHED)
def test_routing_is_that_of_the_file(reference, name):
    case = Case(reference, name)
    for buffer in ("input_to_synapse_indices", "valid_indices_mask"):
        assert torch.equal(case.fresh[buffer], case.state[buffer])


@pytest.mark.parametrize("name", PUBLISHED)
def test_time_constants_and_decays_are_exact(reference, name):
    case = Case(reference, name)
    derived = _tensors(reference / "elm" / name / "derived.npz")
    assert torch.equal(case.neuron.tau_m, derived["tau_m"])
    torch.testing.assert_close(case.neuron.kappa_m, derived["kappa_m"], rtol=2e-7, atol=0)
    assert torch.equal(case.neuron.kappa_s.unique(), derived["kappa_s"])


@every_backend
def test_published_file(reference, backend):
    folder = reference / "elm" / "pretrained" / "num_memory_15"
    neuron = load_official_checkpoint(folder / "neuronio_best_model_state.pt", backend=backend)
    case = Case(reference, "pretrained/num_memory_15")
    assert type(neuron) is ELMv1
    for key, value in case.state.items():
        assert torch.equal(neuron.state_dict()[key], value), key
    with torch.no_grad():
        _assert_close(neuron(case.inputs), case.expected["forward"])


def _tensors(file: Path) -> dict[str, Tensor]:
    with np.load(file) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def _assert_close(found: Tensor, expected: Tensor, relative: float = 0.0) -> None:
    torch.testing.assert_close(found, expected, rtol=relative, atol=1e-5)


def _assert_synapses(record: Tensor, case: Case) -> None:
    """Of some frames of one sample, and their sums over each branch."""
    some = record[: len(case.expected["viz_synapse_at_t"]), case.expected["t_index"]]
    _assert_close(some, case.expected["viz_synapse_at_t"])
    sums = record.unflatten(2, (case.neuron.num_branch, -1)).sum(dim=3)
    _assert_close(sums, case.expected["viz_branch_sum"])
