"""Spectral images against those of NSMT, and against what is known of tones and noise."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError

from utils.signals.spectra import (
    SpectrogramConfig,
    add_envelopes,
    decibels,
    mel_filters,
    pre_emphasis,
    spectral_envelope,
    spectral_image,
    stft_magnitude,
    temporal_envelope,
)

RATE = 8000
TRANSFORMS = ["pitch_sync_80", "filter_analysis_128", "high_res_256", "mel512", "blackman"]
HANN = {"n_fft": 256, "n_window": 256, "hop_length": 128, "window_type": "hann", "height": 64}


@pytest.fixture(scope="module")
def nsmt(reference):
    return np.load(reference / "vimh" / "reference_synth.npz")


def tone(frequency, n_samples=8000, amplitude=1.0):
    time = np.arange(n_samples) / RATE
    return (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.mark.parametrize("sound", ["p0", "p1", "p2", "p3"])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_images_are_those_of_nsmt(nsmt, sound, transform):
    expected = nsmt[f"{sound}_{transform}_img"]
    settings = json.loads(str(nsmt["configs"]))[transform]
    config = SpectrogramConfig(**settings, height=len(expected), width=expected.shape[1])
    images, scale = spectral_image(nsmt[f"{sound}_audio"], config)
    assert images.shape == (1, 1, *expected.shape)
    assert np.abs(images[0, 0].astype(int) - expected).max() <= 1
    # a bin of -110 dB holds little but the rounding of the transform
    np.testing.assert_allclose(scale[0], nsmt[f"{sound}_{transform}_scale"], atol=0.05)


def test_pre_emphasis_is_that_of_nsmt(nsmt):
    found = pre_emphasis(nsmt["p0_audio"], 0.97)
    np.testing.assert_array_equal(found, nsmt["preemph_p0"])


def test_pre_emphasis_comes_before_the_transform():
    sound = np.random.default_rng(0).uniform(-1, 1, 8000).astype(np.float32)
    found = spectral_image(sound, SpectrogramConfig(pre_emphasis=0.9))
    expected = spectral_image(pre_emphasis(sound, 0.9), SpectrogramConfig())
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_frames_are_products_with_waves():
    config = SpectrogramConfig(**HANN | {"n_window": 101})
    sound = np.random.default_rng(0).uniform(-1, 1, 1000)
    window = np.zeros(256)
    window[77:178] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(101) / 100)  # 77 = (256 - 101) // 2
    waves = np.exp(-2j * np.pi * np.outer(np.arange(129), np.arange(256)) / 256)
    starts = range(0, 1000 - 256 + 1, 128)
    frames = [abs(waves @ (window * sound[i : i + 256])) / 16 for i in starts]
    found = stft_magnitude(sound, config)
    assert found.shape == (1, 129, 6)
    np.testing.assert_allclose(found[0], np.stack(frames, axis=1), atol=1e-5)


def test_energy_of_a_frame_is_that_of_its_samples():
    sound = np.random.default_rng(1).uniform(-1, 1, (3, 800)).astype(np.float32)
    power = stft_magnitude(sound, SpectrogramConfig()) ** 2
    both_sides = power[:, 0] + 2 * power[:, 1:40].sum(1) + power[:, 40]
    np.testing.assert_allclose(both_sides, (sound.reshape(3, 10, 80) ** 2).sum(2), rtol=1e-4)


@pytest.mark.parametrize("row", [3, 9, 30])
def test_a_tone_lies_in_the_row_of_its_frequency(row):
    config = SpectrogramConfig(**HANN)
    images, scale = spectral_image(tone((row + 1) * RATE / 256, amplitude=0.5), config)
    assert (images[0, 0].argmax(0) == row).all()
    # half of the amplitude times the sum of the window, over sqrt(n_fft)
    expected = 20 * np.log10(0.5 / 2 * np.hanning(256).sum() / 16)
    assert scale[0, 1] == pytest.approx(expected, abs=0.01)


def test_a_tone_lies_in_the_mel_band_around_it():
    config = SpectrogramConfig(**HANN | {"type": "mel", "n_fft": 512, "height": 20})
    corners = np.linspace(*(1127 * np.log(1 + np.array([40, 3600]) / 700)), 22)
    peaks = 700 * (np.exp(corners[1:-1] / 1127) - 1)
    images, _ = spectral_image(np.stack([tone(f) for f in peaks[[5, 12, 19]]]), config)
    np.testing.assert_array_equal(images[:, 0].argmax(1), np.repeat([[5], [12], [19]], 32, axis=1))


def test_mel_bands_have_equal_areas_and_overlap_by_half():
    config = SpectrogramConfig(type="mel", n_fft=2048, n_window=512, height=16)
    weights = mel_filters(config)
    frequency = np.arange(1025) * RATE / 2048
    np.testing.assert_allclose(weights.sum(0), 1, rtol=1e-6)
    assert (weights >= 0).all()
    assert not weights[(frequency <= 40) | (frequency >= 3600)].any()
    scaled = weights / weights.max(0)
    inner = (frequency > 200) & (frequency < 3000)  # between the first and the last peak
    np.testing.assert_allclose(scaled[inner].sum(1), 1, atol=0.06)
    assert (np.count_nonzero(weights[inner], axis=1) <= 2).all()


def test_grey_levels_span_each_image():
    sounds = np.random.default_rng(2).uniform(-1, 1, (4, 4000)) * np.array([[1], [0.1], [2], [5]])
    config = SpectrogramConfig()
    images, scale = spectral_image(sounds, config)
    assert images.dtype == np.uint8
    assert scale.dtype == np.float32
    assert (images.min((1, 2, 3)) == 0).all()
    assert (images.max((1, 2, 3)) == 255).all()
    levels = decibels(stft_magnitude(sounds, config))[:, 1:33, :32]
    back = scale[:, :1, None] + images[:, 0] / 255 * np.diff(scale)[..., None]
    half_a_level = np.diff(scale).max() / 255 / 2
    np.testing.assert_allclose(back, levels, atol=half_a_level + 1e-3)


def test_an_image_does_not_tell_how_loud_a_sound_is():
    sound = np.random.default_rng(3).uniform(-1, 1, 4000)
    images, scale = spectral_image(np.stack([sound, sound / 4]), SpectrogramConfig())
    assert np.abs(np.diff(images.astype(int), axis=0)).max() <= 1
    np.testing.assert_allclose(scale[0] - scale[1], 20 * np.log10(4), atol=1e-3)


def test_silence_is_black_at_the_floor():
    images, scale = spectral_image(np.zeros(4000), SpectrogramConfig())
    assert not images.any()
    np.testing.assert_allclose(scale, -200, atol=1e-4)


def test_what_comes_after_the_last_frame_is_not_seen():
    config = SpectrogramConfig(**HANN, width=10)
    sound = np.random.default_rng(4).uniform(-1, 1, 4000)
    assert config.n_samples == 9 * 128 + 256
    whole, cut = spectral_image(sound, config), spectral_image(sound[: config.n_samples], config)
    np.testing.assert_array_equal(whole[0], cut[0])


def test_envelopes_by_hand():
    image = np.zeros((1, 1, 9, 6), np.uint8)
    image[0, 0, 4, 1] = 210
    np.testing.assert_allclose(
        temporal_envelope(image)[0, 0, 0], np.array([42, 42, 42, 42, 0, 0]), rtol=1e-6
    )
    np.testing.assert_allclose(
        spectral_envelope(image)[0, 0, :, 0], np.array([0, 5, 5, 5, 5, 5, 5, 5, 0]), rtol=1e-6
    )
    both = SpectrogramConfig(temporal_envelope=True, spectral_envelope=True)
    stack, scale = add_envelopes(image, both)
    assert stack.shape == (1, 3, 9, 6)
    np.testing.assert_array_equal(scale, [[0, 210]])  # one scale for all channels
    assert stack[0, 0, 4, 1] == 255
    np.testing.assert_array_equal(stack[0, 1, 3], [51, 51, 51, 51, 0, 0])
    np.testing.assert_array_equal(stack[0, 2, :, 2], [0, 6, 6, 6, 6, 6, 6, 6, 0])  # 6.07, cut off


def test_a_normalized_image_is_divided_by_its_envelopes():
    image = np.random.default_rng(5).integers(1, 256, (2, 1, 32, 32)).astype(np.uint8)
    config = SpectrogramConfig(spectral_envelope=True, normalized=True)
    stack, scale = add_envelopes(image, config)
    quotient = image / temporal_envelope(image) / spectral_envelope(image)
    np.testing.assert_allclose(scale[:, 0], quotient.min((1, 2, 3)), rtol=1e-5)
    assert stack.shape == (2, 2, 32, 32)


def test_envelopes_of_a_constant_stack_are_grey():
    stack, _ = add_envelopes(np.zeros((1, 1, 4, 4), np.uint8), SpectrogramConfig())
    assert (stack == 128).all()


def test_images_have_their_envelopes_and_the_scale_of_the_spectrum():
    sound = np.random.default_rng(6).uniform(-1, 1, (2, 4000))
    settings = {"temporal_envelope": True, "spectral_envelope": True}
    plain, decibel = spectral_image(sound, SpectrogramConfig())
    images, scale = spectral_image(sound, SpectrogramConfig(**settings))
    np.testing.assert_array_equal(images, add_envelopes(plain, SpectrogramConfig(**settings))[0])
    np.testing.assert_array_equal(scale, decibel)


@pytest.mark.parametrize("n", [0, 1])
def test_no_sound_and_one_sound(n):
    images, scale = spectral_image(np.ones((n, 4000)), SpectrogramConfig())
    assert images.shape == (n, 1, 32, 32)
    assert scale.shape == (n, 2)


def test_many_sounds_give_what_each_gives_alone():
    sounds = np.random.default_rng(7).uniform(-1, 1, (150, 2560))  # more than one batch
    images, scale = spectral_image(sounds, SpectrogramConfig())
    for i in (0, 101, 102, 149):
        alone = spectral_image(sounds[i], SpectrogramConfig())
        np.testing.assert_array_equal(images[i], alone[0][0])
        np.testing.assert_array_equal(scale[i], alone[1][0])


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(2559), "2559 samples, 2560 are needed"),
        (np.full(4000, np.nan), "NaN or infinite"),
        (np.zeros((2, 2, 4000)), r"found shape \(2, 2, 4000\)"),
    ],
)
def test_wrong_sounds_are_refused(audio, message):
    with pytest.raises(ValueError, match=message):
        spectral_image(audio, SpectrogramConfig())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 41}, "40 bins above 0 Hz, not 41"),
        ({"n_window": 81}, "81 samples do not fit n_fft = 80"),
        ({"type": "mel", "height": 40}, "mel bands hold no bin"),
        ({"normalized": True}, "only with an envelope"),
        ({"window_type": "kaiser"}, "window_type"),
        ({"hop": 80}, "hop"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValidationError, match=message):
        SpectrogramConfig(**settings)
