"""Sounds behind images: the very ones, from exact parameters or from bytes; one way for all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.config import ConfigError
from utils.datasets.vimh import (
    VIMH,
    VIMHAudioModule,
    VIMHConfig,
    VIMHDataModule,
    VIMHSplit,
    generate_vimh,
    read_vimh,
    synthesiser_of,
    vimh_data,
)
from utils.signals.spectra import spectral_image
from utils.simulation.synthesis import SYNTHESISERS


@pytest.fixture(scope="module", params=["simple_saw", "moog_envelope", "string"])
def data(request) -> VIMH:
    return generate_vimh(request.param, 20, seed=2)


def test_sounds_give_the_images_of_the_data_set(data):
    module = VIMHAudioModule(data, batch_size=8)
    batch = next(iter(module.test_dataloader()))
    assert batch.images.dtype == torch.float32
    images, _ = spectral_image(batch.images.numpy(), module.synthesiser.image)
    assert np.array_equal(images, data.test.images)


def test_labels_and_auxiliary_inputs_are_those_of_images(data):
    options = dict(batch_size=5, auxiliary=("scale",), seed=4)
    heard, seen = (kind(data, **options) for kind in (VIMHAudioModule, VIMHDataModule))
    for one, other in zip(heard.train_dataloader(), seen.train_dataloader(), strict=True):
        assert all(map(torch.equal, one[1:], other[1:]))


def test_training_and_evaluation_hear_a_sample_alike(data):
    module = VIMHAudioModule(data, batch_size=32)
    in_training = next(iter(module.train_dataloader()))
    again = module.batch(data.train, module.train_order(epoch=0))
    assert all(map(torch.equal, in_training, again))


def test_a_synthesiser_is_known_from_the_file(data):
    name = next(n for n in SYNTHESISERS if SYNTHESISERS[n].synth_type == data.metadata["synth_type"]
                and list(SYNTHESISERS[n].varying) == data.metadata["parameter_names"])  # fmt: skip
    found, made = synthesiser_of(data.metadata), SYNTHESISERS[name]
    assert found.image == made.image
    assert found.n_samples == made.n_samples
    for parameter, expected in made.parameters.items():
        assert found.parameters[parameter].min == expected.min
        assert found.parameters[parameter].max == expected.max


def test_without_a_sidecar_sounds_are_as_precise_as_a_byte(reference):
    stored = read_vimh(reference / "vimh" / "vimh-32x32x1_8000Hz_1p0s_16dss_simple_2p")
    module = VIMHAudioModule(stored, batch_size=16)
    sounds = next(iter(module.test_dataloader())).images
    images, _ = spectral_image(sounds.numpy(), module.synthesiser.image)
    apart = np.abs(images.astype(int) - stored.test.images)
    assert 0 < apart.mean() < 2  # grey levels


def test_sounds_of_another_kind_of_synthesiser_are_refused(data):
    with pytest.raises(ConfigError, match="synth_type"):
        synthesiser_of(data.metadata | {"synth_type": "organ"})


def test_settings_say_what_is_loaded():
    config = VIMHConfig(synthesiser="simple_saw", n_samples=20, auxiliary=["scale"], seed=3)
    module = vimh_data(config, batch_size=4)
    assert (type(module), module.batch_size, module.n_auxiliary) == (VIMHDataModule, 4, 4)
    same = generate_vimh("simple_saw", 20, seed=3)
    assert np.array_equal(module.data.test.images, same.test.images)
    audio = config.model_copy(update={"inputs": "audio"})
    assert isinstance(vimh_data(audio, batch_size=4), VIMHAudioModule)


def test_a_part_without_sounds_is_empty():
    saw = generate_vimh("simple_saw", 20)
    empty = VIMHSplit(saw.test.records[:0], saw.train.parameters)
    module = VIMHAudioModule(VIMH(saw.train, empty, saw.metadata))
    assert len(module.samples(empty).sounds) == 0
