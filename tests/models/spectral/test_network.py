"""Networks: the size that their name says, heads of the data set, errors that help."""

from __future__ import annotations

import pytest
import torch

from utils.config import ConfigError, validate_config
from utils.models.spectral import SpectralConfig, build_network
from utils.models.spectral.config import CrossEntropyConfig
from utils.models.spectral.convnext import ResponseNorm

IMAGE = (1, 32, 32)
COUNTS = {  # parameters on images 32 x 32 x 1 with heads of 3 and 24 classes
    ("cnn", "micro"): 10_411,
    ("cnn", "tiny"): 39_483,
    ("cnn", "64k"): 64_159,
    ("cnn", "large"): 1_137_819,
    ("vit", "23k"): 22_847,
    ("vit", "38k"): 37_723,
    ("vit", "116k"): 116_403,
    ("convnext", "18k"): 17_851,
    ("convnext", "70k"): 69_587,
    ("convnext", "288k"): 287_387,
}
SMALLEST = ({"type": "cnn", "size": "micro"}, {"type": "vit", "size": "23k"},
            {"type": "convnext", "size": "18k"}, {"type": "dense"})  # fmt: skip


def config(**settings) -> SpectralConfig:
    return validate_config(SpectralConfig, settings, "test")


@pytest.mark.parametrize(("type", "size"), COUNTS)
def test_a_network_has_the_size_of_its_name(type, size, heads):
    model = build_network(config(network={"type": type, "size": size}), IMAGE, heads)
    assert model.n_parameters == COUNTS[type, size]
    assert model.n_parameters == sum(p.numel() for p in model.parameters())


def test_a_dense_network_has_the_layers_asked_for(heads):
    model = build_network(config(network={"type": "dense", "hidden": [10, 5]}), IMAGE, heads)
    assert model.n_parameters == 1025 * 10 + 11 * 5 + 6 * 27


@pytest.mark.parametrize("network", SMALLEST)
@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 32, 64), (1, 48, 48)])
def test_any_data_set_has_its_heads(network, shape, heads):
    model = build_network(config(network=network), shape, heads).eval()
    outputs = model(torch.rand(5, *shape))
    assert [tuple(output.shape) for output in outputs] == [(5, 3), (5, 24)]
    assert model(torch.rand(0, *shape))[0].shape == (0, 3)


@pytest.mark.parametrize("network", SMALLEST)
def test_every_parameter_is_trained(network, heads):
    model = build_network(config(network=network), IMAGE, heads)
    sum(output.square().sum() for output in model(torch.rand(4, *IMAGE))).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("network", SMALLEST)
def test_a_sample_does_not_depend_on_its_batch(network, heads):
    model = build_network(config(network=network), IMAGE, heads).eval()
    images = torch.rand(4, *IMAGE)
    alone = model(images[2:3])[1]
    assert torch.allclose(model(images)[1][2:3], alone, atol=1e-5)


def test_heads_of_regression_have_one_output(heads):
    model = build_network(config(loss={"type": "regression"}), IMAGE, heads)
    assert [output.shape[1] for output in model(torch.rand(2, *IMAGE))] == [1, 1]


def test_auxiliary_inputs_count(heads):
    model = build_network(config(), IMAGE, heads, n_auxiliary=2).eval()
    assert model.n_parameters == COUNTS["cnn", "tiny"] + 3 * 16 + 17 * 16 + 16 * 27
    images = torch.rand(3, *IMAGE)
    one, other = (model(images, torch.full((3, 2), value))[0] for value in (0.0, 1.0))
    assert not torch.allclose(one, other)
    for wrong in (None, torch.zeros(3, 5)):
        with pytest.raises(ValueError, match=r"needs 2 auxiliary inputs, found [05]"):
            model(images, wrong)


def test_the_seed_decides_the_weights_and_nothing_else(heads):
    one, same, other = (
        build_network(config(trainer={"seed": seed}), IMAGE, heads).state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_network(config(), IMAGE, heads)
    assert torch.equal(torch.rand(3), expected)


def test_the_total_is_the_weighted_sum_of_heads(heads, images):
    batch = next(iter(images.val_dataloader()))
    weights = {"note_velocity": 0.25}
    model = build_network(config(head_weights=weights), IMAGE, heads).eval()
    losses = {name: value.item() for name, value in model.losses(batch).items()}
    expected = 0.25 * losses["note_velocity"] + losses["log10_decay_time"]
    assert losses["loss"] == pytest.approx(expected)
    outputs = model(batch.images)
    entropy = torch.nn.functional.cross_entropy(outputs[1], batch.labels[:, 1])
    assert losses["log10_decay_time"] == pytest.approx(entropy.item())
    assert isinstance(model.config.loss, CrossEntropyConfig)


def test_global_response_norm_begins_as_identity_and_sees_the_whole_image():
    norm, pixels = ResponseNorm(2), torch.tensor([[[[3.0, 0.0]], [[4.0, 5.0]]]])
    assert torch.equal(norm(pixels), pixels)
    with torch.no_grad():
        norm.gain.fill_(1.0)
    assert torch.allclose(norm(pixels), 2 * pixels)  # both channels have energy 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(network={"type": "cnm"}), "unknown 'type' 'cnm'; known.*'cnn'"),
        (dict(network={"type": "cnn", "size": "huge"}), "size.*'micro', 'tiny', '64k' or 'large'"),
        (dict(network={"type": "cnn", "sise": "tiny"}), "unknown key 'network.sise'.*size"),
        (dict(loss={"type": "ordinal", "alpha": -1}), "loss.alpha"),
        (dict(loss={"type": "soft", "shape": "round"}), "'triangular', 'exponential' or"),
        (dict(front_end={"type": "wavelet"}), "unknown 'type' 'wavelet'; known.*'leaf'"),
        (dict(trainer={"schedule": "triangle"}), "trainer.schedule"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        config(**settings)


@pytest.mark.parametrize(
    ("network", "shape", "message"),
    [
        ({"type": "cnn"}, (1, 4, 32), "at least 8 x 8 pixels, found 4 x 32"),
        ({"type": "vit"}, (1, 30, 32), "multiples of 8 x 8, found 30 x 32"),
        ({"type": "convnext"}, (1, 34, 32), "multiples of 4 x 4, found 34 x 32"),
    ],
)
def test_images_that_do_not_fit_are_refused(network, shape, message, heads):
    with pytest.raises(ValueError, match=message):
        build_network(config(network=network), shape, heads)


def test_images_of_another_shape_are_refused_when_they_come(heads):
    model = build_network(config(), IMAGE, heads)
    with pytest.raises(ValueError, match=r"\(batch, 1, 32, 32\), found \(2, 1, 32, 48\)"):
        model(torch.rand(2, 1, 32, 48))


def test_heads_need_names_of_their_own(heads):
    with pytest.raises(ValueError, match="names of their own"):
        build_network(config(), IMAGE, [heads[0], heads[0]])
    with pytest.raises(ValueError, match="no head 'log10_decay'; did you mean log10_decay_time"):
        build_network(config(head_weights={"log10_decay": 1.0}), IMAGE, heads)
