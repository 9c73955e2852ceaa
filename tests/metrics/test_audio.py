"""Sounds that differ in a known way."""

from __future__ import annotations

import numpy as np
import pytest

from utils.metrics.audio import multiscale_stft_distance, reconstruction_snr, sound_correlation

TIME = np.arange(2048) / 8000  # s
TONES = np.stack([np.sin(2 * np.pi * f * TIME) for f in (250.0, 1000.0)])  # whole periods


def test_equal_sounds():
    assert np.isposinf(reconstruction_snr(TONES, TONES)).all()
    assert sound_correlation(TONES, TONES) == pytest.approx([1, 1])
    assert multiscale_stft_distance(TONES, TONES).tolist() == [0, 0]


def test_a_tenth_of_the_amplitude_as_noise_is_20_db():
    assert reconstruction_snr(TONES, TONES * [[0.9], [1.1]]) == pytest.approx([20, 20])


def test_correlation_does_not_hear_loudness_but_phase():
    assert sound_correlation(TONES, 0.3 * TONES + 1) == pytest.approx([1, 1])
    assert sound_correlation(TONES, -TONES) == pytest.approx([-1, -1])
    assert sound_correlation(TONES, TONES[::-1]) == pytest.approx([0, 0], abs=1e-9)


def test_spectra_do_not_hear_phase():
    # but for the direct current and the Nyquist frequency, where a sinusoid's phase counts
    assert multiscale_stft_distance(TONES, -TONES).tolist() == [0, 0]
    noise = np.random.default_rng(0).normal(size=(1, 4096))
    assert multiscale_stft_distance(noise, -noise) == pytest.approx([0])


def test_half_the_amplitude_is_6_db_in_bins_that_are_heard():
    noise = np.random.default_rng(0).normal(size=(2, 4096))
    six = 20 * np.log10(2)
    assert multiscale_stft_distance(noise, noise / 2) == pytest.approx([six, six], rel=0.01)
    # silence is 60 dB below the loudest bin, and no more
    silent = multiscale_stft_distance(noise, 0 * noise)
    assert ((silent > 30) & (silent < 60)).all()


def test_a_silent_or_constant_sound_has_no_score():
    zero, one = np.zeros((1, 2048)), TONES[:1]
    assert np.isnan(reconstruction_snr(zero, one)).all()
    assert np.isnan(sound_correlation(zero, one)).all()
    assert np.isnan(sound_correlation(one, zero)).all()
    assert multiscale_stft_distance(zero, zero).tolist() == [0]


def test_no_sounds_have_no_scores():
    none = np.zeros((0, 2048))
    for score in (reconstruction_snr, sound_correlation):
        assert score(none, none).shape == (0,)


def test_sounds_belong_together():
    with pytest.raises(ValueError, match=r"found \(2, 2048\) and \(1, 2048\)"):
        reconstruction_snr(TONES, TONES[:1])
    with pytest.raises(ValueError, match=r"expected two \(n, sample\)"):
        sound_correlation(TONES[0], TONES[0])


def test_sounds_shorter_than_a_window_are_refused():
    with pytest.raises(ValueError, match="512 samples, 1024 are needed"):
        multiscale_stft_distance(TONES[:, :512], TONES[:, :512])
