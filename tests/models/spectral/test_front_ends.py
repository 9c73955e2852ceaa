"""Front ends: the spectrogram where it is to be one, and gradients where something is learned.

Learned filters begin as sinusoids in the window of the STFT. Both are compared before rounding, to
half a grey level of 255 and what single precision adds.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.models.spectral.config import (
    ImageFrontEndConfig,
    LeafFrontEndConfig,
    SpectrumFrontEndConfig,
)
from utils.models.spectral.front_ends import build_front_end
from utils.models.spectral.leaf import PCEN, GaborFilters
from utils.signals.spectra import SpectrogramConfig, spectral_image, stft_magnitude
from utils.simulation.synthesis import SYNTHESISERS, draw_parameters, synthesise

HALF_A_LEVEL = (0.5 + 0.01) / 255
SHAPES = {
    "simple_saw": SYNTHESISERS["simple_saw"].image,
    "moog_envelope": SYNTHESISERS["moog_envelope"].image,
    "pre-emphasis": SpectrogramConfig(
        height=24, width=20, n_fft=96, n_window=64, hop_length=40, window_type="hann",
        pre_emphasis=0.9,
    ),
}  # fmt: skip
MEL = SpectrogramConfig(
    type="mel", height=20, width=16, n_fft=256, n_window=256, hop_length=128, window_type="hann"
)


@pytest.fixture(scope="module")
def filtered() -> torch.Tensor:
    """Sounds with all of the spectrum."""
    drawn = draw_parameters("moog_basic", 6, seed=1)
    noise = np.random.default_rng(0).normal(0, 0.01, (6, 8000))
    return torch.from_numpy((synthesise("moog_basic", drawn) + noise).astype(np.float32))


def image(config, sounds) -> torch.Tensor:
    shape = (1, config.spectrogram.height, config.spectrogram.width)
    return build_front_end(config, shape)(sounds)


def reference(sounds, spectrogram) -> torch.Tensor:
    return torch.from_numpy(spectral_image(sounds.numpy(), spectrogram)[0]) / 255


def test_images_pass_as_they_are():
    images = torch.rand(2, 3, 4, 5)
    assert build_front_end(ImageFrontEndConfig(), (3, 4, 5))(images) is images


@pytest.mark.parametrize("name", SHAPES)
def test_stft_is_the_image_of_the_data_set(filtered, name):
    found = image(SpectrumFrontEndConfig(type="stft", spectrogram=SHAPES[name]), filtered)
    assert (found - reference(filtered, SHAPES[name])).abs().max() < HALF_A_LEVEL


def test_mel_is_the_image_of_the_data_set(filtered):
    found = image(SpectrumFrontEndConfig(type="mel", spectrogram=MEL), filtered)
    assert (found - reference(filtered, MEL)).abs().max() < HALF_A_LEVEL


@pytest.mark.parametrize("name", SHAPES)
def test_learned_filters_begin_as_the_stft(filtered, name):
    found = image(LeafFrontEndConfig(spectrogram=SHAPES[name]), filtered)
    assert (found - reference(filtered, SHAPES[name])).abs().max() < 1.1 * HALF_A_LEVEL
    stft = image(SpectrumFrontEndConfig(type="stft", spectrogram=SHAPES[name]), filtered)
    # sums of float32 in another order; the faintest bins lose most
    assert (found - stft).abs().max() < 0.1 / 255


def test_narrowed_filters_are_an_stft_in_a_gaussian_window(filtered):
    config = SHAPES["simple_saw"]
    filters = GaborFilters(config)
    with torch.no_grad():
        filters.narrowing.fill_(4.0)
        magnitude = filters(filtered).sqrt().numpy()
    time = (np.arange(80) - 39.5) / 40
    views = np.lib.stride_tricks.sliding_window_view(filtered.numpy(), 80, axis=1)[:, ::80]
    spectra = np.abs(np.fft.rfft(views[:, :32] * np.exp(-2 * time**2))) / np.sqrt(80)
    assert np.allclose(magnitude, spectra[:, :, 1:33].swapaxes(1, 2), rtol=1e-3, atol=1e-6)
    plain = stft_magnitude(filtered.numpy(), config)[:, 1:33, :32]
    assert not np.allclose(magnitude, plain, rtol=0.1)


def test_a_filter_answers_its_own_frequency_most():
    filters = GaborFilters(MEL)
    hertz = filters.hertz().detach()
    assert (hertz.diff() > 0).all()
    assert 40 < hertz[0] < hertz[-1] < 3600
    time = torch.arange(MEL.n_samples) / MEL.sample_rate
    tones = torch.sin(2 * torch.pi * hertz[:, None] * time)
    energy = filters(tones).mean(dim=2)  # (tone, filter)
    assert energy.argmax(dim=1).tolist() == list(range(20))


@pytest.mark.parametrize("compression", ["log", "pcen"])
def test_everything_of_a_learned_front_end_is_trained(filtered, compression):
    front = build_front_end(
        LeafFrontEndConfig(spectrogram=SHAPES["moog_envelope"], compression=compression),
        (1, 32, 64),
    )
    images = front(filtered)
    assert images.shape == (6, 1, 32, 64)
    weights = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    (images * weights).sum().backward()
    for name, parameter in front.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert (parameter.grad != 0).float().mean() > 0.9, name


@pytest.mark.parametrize("compression", ["log", "pcen"])
def test_silence_has_finite_images_and_gradients(compression):
    front = build_front_end(LeafFrontEndConfig(compression=compression), (1, 32, 32))
    images = front(torch.zeros(2, 2560))
    images.square().sum().backward()
    assert images.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in front.parameters())


def test_pcen_is_its_formula_step_by_step():
    pcen = PCEN(2)
    energy = torch.rand(1, 2, 7) + 0.1
    past, rows = energy[..., 0], []
    for step in range(7):
        past = 0.96 * past + 0.04 * energy[..., step]
        share = energy[..., step] / (pcen.FLOOR + past) ** 0.96
        rows.append((share + 2) ** 0.5 - 2**0.5)
    assert torch.allclose(pcen(energy), torch.stack(rows, dim=2), atol=1e-5)


def test_pcen_hardly_depends_on_the_level():
    pcen, energy = PCEN(3), torch.rand(1, 3, 9) + 1
    assert torch.allclose(pcen(100 * energy), pcen(energy), rtol=0.35)


@pytest.mark.parametrize("sounds", [torch.zeros(2, 100), torch.zeros(2, 1, 32, 32)])
def test_what_is_no_sound_is_refused(sounds):
    front = build_front_end(SpectrumFrontEndConfig(type="stft"), (1, 32, 32))
    with pytest.raises(ValueError, match=r"takes sounds .*2560.*found"):
        front(sounds)


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 32, 32\).*\(1, 32, 64\)"):
        build_front_end(LeafFrontEndConfig(), (1, 32, 64))


def test_envelopes_are_refused():
    config = SpectrumFrontEndConfig(
        type="stft", spectrogram=SpectrogramConfig(temporal_envelope=True)
    )
    with pytest.raises(ValueError, match="envelopes are not made"):
        build_front_end(config, (2, 32, 32))
