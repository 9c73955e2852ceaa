"""Sounds and images of whole sets: the reference set, batches and threads, wrong parameters."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from utils.config import ConfigError
from utils.signals.spectra import spectral_image
from utils.simulation.synthesis import (
    SYNTHESISERS,
    SynthesiserConfig,
    draw_parameters,
    synthesise,
    synthesise_images,
    synthesiser_config,
)

SAW = {"note_number": 60.0, "note_velocity": 100.0, "log10_decay_time": 0.0}
CLASSES = {  # number of classes per head, from the ranges
    "simple_saw": [3, 24],
    "moog_basic": [6, 11, 19, 10],
    "moog_envelope": [3, 4, 5, 9, 7, 7, 15, 7, 10, 7],
    "moog_resonance": [3, 4, 6, 9, 10, 17, 17, 17],
}


@pytest.fixture(scope="module")
def reference_set(reference):
    """Codes (16, 2), scale (16, 2), images (16, 1, 32, 32) of NSMT's set."""
    folder = reference / "vimh" / "vimh-32x32x1_8000Hz_1p0s_16dss_simple_2p"
    raw = b"".join((folder / part).read_bytes() for part in ("train", "test"))
    records = np.frombuffer(raw, np.uint8).reshape(16, 1043)
    scale = np.ascontiguousarray(records[:, 6:14]).view("<f4")
    return records[:, [16, 18]], scale, records[:, 19:].reshape(16, 1, 32, 32)


def test_images_are_those_of_the_reference_set(reference_set):
    _, expected_scale, expected = reference_set
    images, scale = synthesise_images("simple_saw", draw_parameters("simple_saw", 16))
    assert np.abs(images.astype(int) - expected).max() <= 1
    np.testing.assert_allclose(scale, expected_scale, atol=1e-3)


def test_labels_of_one_byte_determine_images_only_roughly(reference_set):
    """A code is cut off: up to 0.009 of log10 of the decay time are lost."""
    codes, _, expected = reference_set
    values = {"note_velocity": 126 + codes[:, 0] / 255, "log10_decay_time": codes[:, 1] / 255}
    values["log10_decay_time"] = -2 + 2.3 * values["log10_decay_time"]
    images, _ = synthesise_images("simple_saw", values)
    difference = np.abs(images.astype(int) - expected)
    assert 0 < difference.mean() < 0.5
    assert difference.max() <= 3


@pytest.mark.parametrize("name", CLASSES)
def test_heads_have_the_classes_of_the_table(name):
    assert [len(p.grid) for p in SYNTHESISERS[name].varying.values()] == CLASSES[name]


@pytest.mark.parametrize("name", SYNTHESISERS)
def test_batches_and_threads_change_nothing(name):
    values = draw_parameters(name, 37)
    if name == "moog_envelope":
        values["filter_env_amount"][::3] = 0  # a constant cutoff beside sweeps
    expected = synthesise(name, values, batch=37, workers=1)
    assert np.isfinite(expected).all()
    assert np.abs(expected).max(axis=1).min() > 1e-3
    for batch, workers in [(1, 2), (5, 3), (16, 2), (None, None)]:
        found = synthesise(name, values, batch=batch, workers=workers)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", SYNTHESISERS)
def test_images_are_those_of_the_whole_sounds(name):
    values = draw_parameters(name, 10)
    config = SYNTHESISERS[name]
    images, scale = synthesise_images(name, values, batch=3, workers=2)
    expected, expected_scale = spectral_image(synthesise(name, values), config.image)
    assert images.shape == (10, 1, config.image.height, config.image.width)
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(scale, expected_scale)


def test_velocity_of_a_sawtooth_is_in_the_scale_and_not_in_the_image():
    values = {"note_velocity": np.array([127.0, 63.5]), "log10_decay_time": -0.5}
    images, scale = synthesise_images("simple_saw", values)
    assert np.abs(np.diff(images.astype(int), axis=0)).max() <= 1
    np.testing.assert_allclose(scale[0] - scale[1], 20 * np.log10(2), atol=1e-3)


def test_what_images_of_the_moog_sets_cannot_show():
    values = draw_parameters("moog_envelope", 2)
    values = {name: value[:1] for name, value in values.items()}
    longer = values | {"filter_env_release": values["filter_env_release"] / 2}
    images = [synthesise_images("moog_envelope", v)[0] for v in (values, longer)]
    np.testing.assert_array_equal(*images)
    values = draw_parameters("moog_resonance", 1)
    sounds = [synthesise("moog_resonance", values | {"filter_env_decay": d}) for d in (0, 0.1)]
    np.testing.assert_array_equal(*sounds)


@pytest.mark.parametrize("n", [0, 1])
def test_no_sound_and_one_sound(n):
    values = draw_parameters("moog_envelope", n)
    assert synthesise("moog_envelope", values).shape == (n, 16000)
    images, scale = synthesise_images("moog_envelope", values)
    assert images.shape == (n, 1, 32, 64)
    assert scale.shape == (n, 2)


def test_numbers_hold_for_all_sounds_and_fixed_parameters_may_be_left_out():
    found = synthesise("simple_saw", {"note_velocity": [100, 120], "log10_decay_time": 0.1})
    each = {"note_number": [43.35] * 2, "note_velocity": [100, 120], "log10_decay_time": [0.1] * 2}
    np.testing.assert_array_equal(found, synthesise("simple_saw", each))
    assert synthesise("simple_saw", SAW).shape == (1, 8000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"note_numbr": 1.0}, "no parameter 'note_numbr'; did you mean note_number"),
        ({"note_velocity": 128}, r"'note_velocity' must be finite, in \[0, 127\]; found 128"),
        ({"note_velocity": [1, np.nan]}, "'note_velocity' must be finite, .* found nan"),
        ({"log10_decay_time": np.inf}, "'log10_decay_time' must be finite"),
        ({"filter_env_attack": -0.1}, r"'filter_env_attack' must .* found -0.1"),
        ({"note_number": 120}, "'note_number' must be finite"),  # above half the sample rate
        ({"note_number": [1, 2], "note_velocity": [1, 2, 3]}, "one length"),
        ({"note_number": [[1, 2]]}, "one length"),
    ],
)
def test_wrong_parameters_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        synthesise("simple_saw", SAW | change)


def test_missing_parameters_are_named():
    with pytest.raises(ValueError, match="missing parameters: note_velocity, log10_decay_time"):
        synthesise("simple_saw", {})
    with pytest.raises(ValueError, match="batch and workers must be positive, found 0 and None"):
        synthesise("simple_saw", SAW, batch=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"duration": 0.3}, "0.3 s are 2400 samples, the image needs 2560"),
        ({"duration": -1}, "duration"),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"image": {"heigth": 3}}, "unknown key 'image.heigth'; did you mean height"),
        ({"synth_type": "plucked"}, r"plucked needs \['pluck_position', 'brightness'\] too"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        synthesiser_config("simple_saw", **settings)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"note": {"min": 1, "max": 2}}, "simple has no 'note'; did you mean note_number"),
        ({"filter_cutoff": {"min": 100, "max": 200}}, "need 'filter_enabled' too"),
        ({"note_number": {"min": 2, "max": 1}}, "max: 1.0 is below min = 2.0"),
        ({"note_number": {"min": 1, "max": 2, "step": 0}}, "step: 0, but the parameter varies"),
    ],
)
def test_wrong_ranges_are_named(parameters, message):
    ranges = {name: {"min": value, "max": value} for name, value in SAW.items()}
    with pytest.raises(ValidationError, match=message):
        SynthesiserConfig(name="wrong", parameters=ranges | parameters)
