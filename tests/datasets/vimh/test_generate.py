"""Generated sets: names, channels, order and samplings, as files and in memory."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from utils.config import ConfigError
from utils.datasets.vimh import generate_vimh, quantise, read_vimh, write_vimh
from utils.datasets.vimh.__main__ import main
from utils.datasets.vimh.metadata import INFO
from utils.simulation.synthesis import SYNTHESISERS, synthesiser_config

PLAIN = synthesiser_config("simple_saw")


def saw(**envelopes):
    return PLAIN.model_copy(update={"image": PLAIN.image.model_copy(update=envelopes)})


@pytest.mark.parametrize("name", sorted(SYNTHESISERS))
def test_each_synthesiser_makes_a_set_that_reads_as_it_is(name, tmp_path):
    data = generate_vimh(name, 10, seed=1)
    read = read_vimh(write_vimh(data, tmp_path / data.metadata["dataset_name"]))
    assert (len(read.train), len(read.test)) == (8, 2)
    assert read.metadata == data.metadata
    assert np.array_equal(read.train.records, data.train.records)
    assert np.array_equal(read.test.exact.values, data.test.exact.values)
    assert [p.name for p in read.parameters] == list(SYNTHESISERS[name].varying)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("simple_saw", "vimh-32x32x1_8000Hz_1p0s_5dss_simple_2p"),
        ("moog_basic", "vimh-32x32x1_8000Hz_1p0s_5dss_simple_4p"),
        ("moog_envelope", "vimh-32x64x1_8000Hz_2p0s_5dss_simple_10p"),
        ("moog_resonance", "vimh-48x48x1_8000Hz_1p5s_5dss_simple_8p"),
    ],
)
def test_folders_are_named_by_the_rule(name, folder):
    assert generate_vimh(name, 5).metadata["dataset_name"] == folder


def stacked(image, temporal, spectral, normalized):
    """The envelopes of one image (H, W) by convolution in torch, and one range over all."""
    sounds = torch.from_numpy(image).float()[None, None]
    in_time = conv2d(sounds.sum(2, keepdim=True), torch.ones(1, 1, 1, 5) / 5, padding=(0, 2))
    in_frequency = conv2d(sounds.mean(3, keepdim=True), torch.ones(1, 1, 7, 1) / 7, padding=(3, 0))
    first = sounds / (in_time + 1e-10) / (in_frequency + 1e-10) if normalized else sounds
    channels = [first] + [in_time] * temporal + [in_frequency] * spectral
    stack = torch.cat([channel.expand_as(sounds) for channel in channels], dim=1)[0]
    low, high = stack.min(), stack.max()
    return ((stack - low) / (high - low) * 255).byte().numpy(), torch.stack([low, high]).numpy()


@pytest.mark.parametrize(
    ("temporal", "spectral", "normalized", "suffix", "labels"),
    [
        (True, False, False, "_temporal", ["Gray", "Gray_temporal_envelope"]),
        (False, True, False, "_spectral", ["Gray", "Gray_spectral_envelope"]),
        (True, False, True, "_temporal", ["Gray_normalized", "Gray_temporal_envelope"]),
        (True, True, False, "_envelopes", None),
        (True, True, True, "_normalized", None),
    ],
)
def test_envelopes_are_further_channels(temporal, spectral, normalized, suffix, labels):
    config = saw(temporal_envelope=temporal, spectral_envelope=spectral, normalized=normalized)
    plain, data = generate_vimh(PLAIN, 10, seed=2), generate_vimh(config, 10, seed=2)
    assert data.metadata["dataset_name"].endswith(f"dss_simple_2p{suffix}")
    assert data.metadata["channels"] == 1 + temporal + spectral
    assert labels is None or data.metadata["channel_labels"] == labels
    for image, channels, scale in zip(plain.train.images, data.train.images, data.train.scale):
        expected, ends = stacked(image[0], temporal, spectral, normalized)
        assert np.abs(expected.astype(int) - channels).max() <= 1
        assert np.allclose(scale, ends, rtol=1e-5)
    assert np.array_equal(data.train.exact.scale, plain.train.scale)  # the sidecar keeps dB


def test_three_channels_are_equal():
    data = generate_vimh("simple_saw", 5, channels=3)
    assert data.metadata["channel_labels"] == ["R", "G", "B"]
    assert data.train.images.shape == (4, 3, 32, 32)
    assert (data.train.images == data.train.images[:, :1]).all()


def test_shuffling_changes_the_order_alone():
    plain = generate_vimh("simple_saw", 30, sampling="grid")
    shuffled = generate_vimh("simple_saw", 30, sampling="grid", shuffle=True)
    assert shuffled.metadata["dataset_name"].endswith("_2p_shuffled")

    def records(data):
        return [r.tobytes() for r in (*data.train.records, *data.test.records)]

    assert records(plain) != records(shuffled)
    assert sorted(records(plain)) == sorted(records(shuffled))


@pytest.mark.parametrize("sampling", ["uniform", "grid", "sobol"])
def test_a_set_depends_on_its_seed_alone(sampling):
    one, same, other = (
        generate_vimh("simple_saw", 20, sampling=sampling, seed=seed) for seed in (1, 1, 2)
    )
    assert one.train.records.tobytes() == same.train.records.tobytes()
    assert one.train.records.tobytes() != other.train.records.tobytes()


def test_codes_are_those_of_the_exact_values():
    data = generate_vimh("moog_basic", 10)
    for place, p in enumerate(data.parameters):
        codes = quantise(data.train.exact.values[:, place], p.min, p.max)
        assert np.array_equal(codes, data.train.codes[:, place])


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (PLAIN, dict(n_samples=0), "n_samples must be >= 1"),
        (PLAIN, dict(n_samples=2, channels=2), "channels must be 1, or 3"),
        (saw(temporal_envelope=True), dict(n_samples=2, channels=3), "without envelopes"),
    ],
)
def test_impossible_sets_are_refused(config, options, message):
    with pytest.raises(ValueError, match=message):
        generate_vimh(config, **options)


def test_an_unknown_synthesiser_is_named():
    with pytest.raises(ConfigError, match="did you mean simple_saw"):
        generate_vimh("simple_sow", 2)


def test_the_command_generates_and_shows(tmp_path, capsys):
    options = ["--temporal", "--spectral", "--normalized", "--shuffle", "--pickle"]
    drawn = ["--samples", "60", "--sampling", "sobol", "--seed", "3"]
    assert main(["generate", "--output", str(tmp_path), *drawn, *options]) == 0
    (folder,) = tmp_path.iterdir()
    assert folder.name == "vimh-32x32x3_8000Hz_1p0s_60dss_simple_2p_normalized_shuffled"
    assert json.loads((folder / INFO).read_text())["output_format"] == "both"
    assert capsys.readouterr().out.strip() == str(folder)
    assert main(["show", str(folder), "--learnable"]) == 0
    shown = capsys.readouterr().out
    assert "48 + 12 images 3x32x32" in shown
    assert "note_velocity" in shown
    assert "identifiable" in shown


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["show", str(tmp_path)]) == 2
    assert f"error: {tmp_path / INFO} does not exist" in capsys.readouterr().err
    assert main(["generate", "--normalized", "--output", str(tmp_path)]) == 2
    assert "normalized" in capsys.readouterr().err
