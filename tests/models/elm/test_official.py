"""Published checkpoints: what is read, what is refused and why, and that nothing is executed."""

from __future__ import annotations

import io
import json
import pickle
import random
import warnings
import zipfile

import pytest
import torch

from utils.models.elm import CheckpointError, ELMv1, ELMv2, load_official_checkpoint

CONFIG = {
    "num_input": 12, "num_output": 2, "num_memory": 5, "num_branch": 3,
    "num_synapse_per_branch": 10, "input_to_synapse_routing": "random_routing",
    "mlp_num_layers": 2, "mlp_hidden_size": 7, "mlp_activation": "silu", "memory_tau_max": 80.0,
}  # fmt: skip


def write(folder, tensors, config=CONFIG, **how):
    folder.mkdir(exist_ok=True)
    torch.save(tensors, folder / "best.pt", **how)
    if config is not None:
        (folder / "model_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(params=[ELMv1, ELMv2])
def neuron(request):
    torch.manual_seed(0)
    return request.param(**CONFIG).eval()


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    return ELMv2(**CONFIG).state_dict()


def assert_same(found, expected):
    assert type(found) is type(expected)
    assert not found.training
    X = torch.randint(-1, 2, (2, 30, 12))
    assert torch.equal(found(X), expected(X))


# ------------------------------------------------------------------------------------- what is read


def test_the_tensors_tell_the_version(neuron, tmp_path):
    write(tmp_path, neuron.state_dict())
    assert_same(load_official_checkpoint(tmp_path), neuron)
    assert_same(load_official_checkpoint(str(tmp_path / "best.pt")), neuron)


def test_older_files_and_their_types(neuron, tmp_path):
    # as the published ones: the mask of integers, tables without routing of floats, parameters
    tensors = dict(neuron.named_parameters()) | dict(neuron.named_buffers())
    tensors["valid_indices_mask"] = tensors["valid_indices_mask"].long()
    write(tmp_path, tensors, _use_new_zipfile_serialization=False)
    assert_same(load_official_checkpoint(tmp_path), neuron)


def test_infinite_time_constants_become_the_bound(tmp_path):
    neuron = ELMv2(12, 2, num_memory=4, memory_tau_min=40.0)
    tensors = neuron.state_dict()
    tensors["_proto_tau_m"] = torch.tensor([-torch.inf, 0.0, 1.0, torch.inf])
    tensors["input_to_synapse_indices"] = torch.zeros(0)
    write(tmp_path, tensors, {"num_input": 12, "memory_tau_min": 40.0})
    found = load_official_checkpoint(tmp_path)
    assert found._proto_tau_m.isfinite().all()
    assert found.tau_m[[0, 3]].tolist() == [40.0, 1000.0]


def test_sizes_come_from_the_tensors_and_the_rest_from_config(neuron, tmp_path):
    write(tmp_path, neuron.state_dict(), config=None)
    rest = {name: CONFIG[name] for name in ("num_input", "input_to_synapse_routing")}
    rest |= {"mlp_activation": "silu", "memory_tau_max": 80.0}
    assert_same(load_official_checkpoint(tmp_path, rest), neuron)
    assert_same(load_official_checkpoint(tmp_path, CONFIG), neuron)
    file = tmp_path / "arguments.json"
    file.write_text(json.dumps(rest | {"_class": "v1" if type(neuron) is ELMv1 else "v2"}))
    assert_same(load_official_checkpoint(tmp_path, file), neuron)
    assert load_official_checkpoint(tmp_path, rest, backend="reference").backend == "reference"


# ------------------------------------------------------------------------------------------- config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_memry": 5}, "ELMv2 has no argument 'num_memry'; did you mean num_memory"),
        ({"tau_s_value": 5}, "ELMv2 has no argument 'tau_s_value'; did you mean tau_b_value"),
        ({"num_memory": "5"}, "num_memory must be a whole number, at least 1; found '5'"),
        ({"num_memory": 6}, r"does not fit .*json: _proto_tau_m: expected \(6,\), found \(5,\)"),
        ({"num_branch": 4}, r"_proto_w_s: expected \(40,\), found \(30,\)"),
        ({"mlp_num_layers": 1}, r"mlp.network.4.weight: expected nothing, found \(5, 7\)"),
        ({"mlp_num_layers": 3}, r"mlp.network.6.bias: expected \(5,\), found nothing"),
        ({"input_to_synapse_routing": None}, "choose input_to_synapse_routing"),
        ({"num_input": 11}, "must be whole numbers between 0 and 10"),
        ({"_class": "v1"}, "_class is 'v1', but the tensors are those of version 'v2'"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(tensors, tmp_path, change, message):
    write(tmp_path, tensors, CONFIG | change)
    with pytest.raises(CheckpointError, match=message):
        load_official_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not readable as JSON"),
        (b"\xff", "not readable as JSON"),
        (b"[1]", "expected an object, found list"),
        (b"{}", "ELMv2 needs num_input"),
    ],
)
def test_a_broken_configuration_is_named(tensors, tmp_path, content, message):
    write(tmp_path, tensors)
    (tmp_path / "model_config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"model_config.json: .*{message}"):
        load_official_checkpoint(tmp_path)


def test_without_configuration_the_way_out_is_told(tensors, tmp_path):
    write(tmp_path, tensors, config=None)
    with pytest.raises(FileNotFoundError, match=r"no .*model_config.json.*give config=dict"):
        load_official_checkpoint(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no .*elsewhere.json"):
        load_official_checkpoint(tmp_path, tmp_path / "elsewhere.json")


# ------------------------------------------------------------------------------------------ tensors


def without(name):
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


def put(name, value):
    return lambda tensors: tensors | {name: value}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: [1, 2], "expected a state dict .* found list"),
        (lambda tensors: {"state_dict": tensors}, "found OrderedDict under 'state_dict'"),
        (lambda tensors: {1: torch.ones(1)}, "found Tensor under 1"),
        (lambda tensors: {}, "no ELM neuron: expected tau_s or tau_b; the file holds nothing"),
        (without("tau_b"), "expected tau_s or tau_b; the file holds _proto_w_s"),
        (without("_proto_w_s"), "expected _proto_w_s of 1 dimensions, found nothing"),
        (without("w_y.weight"), "expected w_y.weight of 2 dimensions, found nothing"),
        (without("w_y.bias"), r"w_y.bias: expected \(2,\), found nothing"),
        (put("w_y.weight", torch.ones(3)), r"w_y.weight of 2 dimensions, found \(3,\)"),
        (put("_proto_w_s", torch.tensor(1.0)), r"_proto_w_s of 1 dimensions, found \(\)"),
        (put("more", torch.ones(3)), r"more: expected nothing, found \(3,\)"),
        (put("tau_s", torch.ones(30)), "tau_b: expected nothing"),
        (put("_proto_w_s", torch.full((30,), torch.nan)), "_proto_w_s must hold .* 30 NaN"),
        (put("_proto_w_s", torch.ones(30) * 1j), "_proto_w_s must hold real numbers"),
        (put("w_y.weight", torch.ones(2, 5).to_sparse()), "w_y.weight must hold .*sparse"),
        (
            put("input_to_synapse_indices", torch.full((30,), 12)),
            "must be whole numbers between 0 and 11",
        ),
        (
            put("input_to_synapse_indices", torch.full((30,), -1)),
            "must be whole numbers between 0 and 11",
        ),
        (put("input_to_synapse_indices", torch.full((30,), 0.5)), "must be whole numbers"),
    ],
)
def test_other_tensors_are_refused(tensors, tmp_path, change, message):
    write(tmp_path, change(tensors))
    with pytest.raises(CheckpointError, match=message):
        load_official_checkpoint(tmp_path)


# -------------------------------------------------------------------------------------------- files


def test_the_file_must_be_told_where_there_is_none_or_several(tensors, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected one .pt file, found none"):
        load_official_checkpoint(tmp_path)
    write(tmp_path, tensors)
    (tmp_path / "last.pt").touch()
    with pytest.raises(FileNotFoundError, match=r"found best.pt, last.pt; name the file"):
        load_official_checkpoint(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no file .*third.pt"):
        load_official_checkpoint(tmp_path / "third.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_files_are_refused_whatever_is_broken(tensors, tmp_path, zipped):
    file = write(tmp_path, tensors, _use_new_zipfile_serialization=zipped) / "best.pt"
    whole, chance = file.read_bytes(), random.Random(0)
    for _ in range(60):
        file.write_bytes(whole[: chance.randrange(len(whole))])
        with pytest.raises(CheckpointError, match=r"best.pt cannot be read"):
            load_official_checkpoint(tmp_path)
        damaged = bytearray(whole)
        for _ in range(20):
            damaged[chance.randrange(300)] = chance.randrange(256)
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_official_checkpoint(tmp_path)


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def zipped_pickle(value) -> bytes:
    """As PyTorch lays its files out."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("best/data.pkl", pickle.dumps(value, protocol=2))
        archive.writestr("best/version", "3")
    return file.getvalue()


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("wrap", [lambda evil: evil, lambda evil: {"tau_s": evil}])
def test_nothing_is_executed(tmp_path, capsys, protocol, wrap):
    write(tmp_path, {})
    contents = pickle.dumps(wrap(Evil()), protocol=protocol), zipped_pickle(wrap(Evil()))
    for content in contents:
        (tmp_path / "best.pt").write_bytes(content)
        with pytest.raises(CheckpointError, match="cannot be read"):
            load_official_checkpoint(tmp_path)
    assert "executed" not in capsys.readouterr().out


def test_what_a_file_holds_beside_tensors_is_named_without_advice_to_trust_it(tmp_path):
    write(tmp_path, {"tau_s": Evil()})
    with pytest.raises(CheckpointError, match=r"more than tensors, namely .*print") as error:
        load_official_checkpoint(tmp_path)
    assert "weights_only" not in str(error.value)


def test_torchscript_archives_are_refused(tmp_path):
    write(tmp_path, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match="TorchScript archive; save the state_dict"):
        load_official_checkpoint(tmp_path)
