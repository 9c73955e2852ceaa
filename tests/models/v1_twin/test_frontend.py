"""Frontends: initial filters, causality, and adaptation against its closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from scipy.special import gammainc

from utils.models.v1_twin.config import (
    ConvFrontendConfig,
    DynamicAdaptationConfig,
    LearnedTemporalConfig,
    NoStage,
    TemporalBasisConfig,
)
from utils.models.v1_twin.frontend import (
    biphasic,
    build_frontend,
    gaussian_derivatives,
    temporal_bumps,
)

CONFIGS = {
    "none": NoStage(),
    "learned_temporal": LearnedTemporalConfig(kernel=6, channels=3, bias=True),
    "temporal_basis": TemporalBasisConfig(kernel=6, channels=3),
    "conv": ConvFrontendConfig(kernel=(6, 3, 3), channels=3, activation="splitrelu"),
    "dynamic_adaptation": DynamicAdaptationConfig(kernel=6, beta=0.1),
}


def light(n_frames: int = 20, channels: int = 1) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(2, channels, n_frames, 5, 4)


def impulse(n_frames: int, at: int) -> torch.Tensor:
    x = torch.zeros(1, 1, n_frames, 1, 1)
    x[:, :, at] = 1.0
    return x


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("channels", [1, 2])
def test_later_frames_change_nothing_before_and_the_last_frame_counts(kind, channels):
    torch.manual_seed(0)
    frontend, x = build_frontend(CONFIGS[kind], channels), light(channels=channels)
    later = x.clone()
    later[:, :, 15:] += 1.0
    before, after = frontend(x), frontend(later)
    lost = 20 - before.shape[2]
    assert lost == (0 if kind in ("none", "dynamic_adaptation") else 5)
    torch.testing.assert_close(before[:, :, : 15 - lost], after[:, :, : 15 - lost])
    if kind != "dynamic_adaptation":  # its filters are 0 at lag 0
        assert (before[:, :, 15 - lost] != after[:, :, 15 - lost]).any()
    assert (before[:, :, -1] != after[:, :, -1]).any()
    assert before.shape[1] == frontend.out_channels


@pytest.mark.parametrize("kind", CONFIGS)
def test_float32_follows_float64(kind):
    frontend, x = build_frontend(CONFIGS[kind], 1), light()
    single = frontend(x)
    torch.testing.assert_close(single, frontend.double()(x.double()).float())


@pytest.mark.parametrize(
    ("init", "filters"),
    [
        ("gaussian_derivatives", gaussian_derivatives(8, 3)),
        ("biphasic", biphasic(8, 3)),
        ("identity", torch.eye(3, 8)),
    ],
)
def test_learned_filters_start_from_the_named_ones_by_lag(init, filters):
    frontend = build_frontend(LearnedTemporalConfig(kernel=8, channels=3, init=init), 1)
    response = frontend(impulse(15, at=7))[0, :, :, 0, 0]  # frames 7 to 14: lags 0 to 7
    torch.testing.assert_close(response.detach(), filters.float())


def test_each_channel_has_learned_filters_of_its_own():
    frontend, x = build_frontend(CONFIGS["learned_temporal"], 2), light(channels=2)
    assert frontend.out_channels == 6
    alone = x.clone()
    alone[:, 1] = 0.0
    torch.testing.assert_close(frontend(x)[:, :3], frontend(alone)[:, :3])


def test_gaussian_derivatives_are_those_of_a_gaussian():
    n, sd = 16, 16 / 6
    t = torch.arange(n, dtype=torch.float64) - (n - 1) / 2
    gaussian = torch.exp(-(t**2) / (2 * sd**2))
    z = t / sd
    by_hand = torch.stack(
        [gaussian, z * gaussian, (z**2 - 1) * gaussian, (z**3 - 3 * z) * gaussian]
    )
    by_hand = by_hand / by_hand.norm(dim=1, keepdim=True)
    torch.testing.assert_close(gaussian_derivatives(n, 4), by_hand)


def test_biphasic_filters_have_a_fast_lobe_then_a_slow_one_of_the_other_sign():
    fast, *_ = biphasic(16, 2)
    assert int(fast.argmax()) == 1  # 8 ms
    assert fast.sum().abs() < 1e-12
    assert fast.clamp(min=0).sum() == pytest.approx(1.0)
    assert 2 <= int(fast.argmin()) <= 5
    assert (fast[4:8] < 0).all()


@pytest.mark.parametrize(("lags", "bumps"), [(16, 6), (16, 1), (33, 10), (1, 1)])
def test_raised_cosines_tile_the_lags_in_order(lags, bumps):
    basis = temporal_bumps(lags, bumps)
    torch.testing.assert_close(basis.sum(1), torch.ones(bumps, dtype=torch.float64))
    assert (basis >= 0).all()
    assert (basis.sum(0) > 0).all()
    centre = basis @ torch.arange(lags, dtype=torch.float64)
    assert (centre.diff() > 0).all()


def test_basis_filters_are_fixed():
    frontend = build_frontend(CONFIGS["temporal_basis"], 1)
    assert not list(frontend.parameters())
    response = frontend(impulse(11, at=5))[0, :, :, 0, 0]
    torch.testing.assert_close(response, temporal_bumps(6, 3).float())


def adapted(intensity: np.ndarray, **settings: float) -> np.ndarray:
    """Response of one pixel over frames."""
    frontend = build_frontend(DynamicAdaptationConfig(**settings), 1)
    return frontend(torch.from_numpy(intensity)[None, None, :, None, None]).flatten().numpy()


def test_a_step_of_light_gives_the_closed_form():
    rate, beta, gamma, height = 2400.0, 0.02, 0.5, 300.0
    step = np.where(np.arange(1500) >= 500, height, 0.0)
    found = adapted(step, rate_hz=rate, kernel=1000, beta=beta, gamma=gamma, alpha=2.0)
    ms = (np.arange(1000) + 0.5) * 1000 / rate  # the sum up to a lag ends half a frame after it
    fast, slow = gammainc(6, ms / 5.0), gammainc(3, ms / 60.0)
    mixture = gamma * fast + (1 - gamma) * slow
    expected = 2.0 * height * fast / (1 + beta * height * mixture)
    np.testing.assert_allclose(found[500:], expected, atol=2e-3 * expected.max())
    assert found[500:].argmax() < 200  # a peak, then adaptation
    assert found[-1] < 0.85 * found.max()


def test_adaptation_is_a_ratio_of_direct_convolutions():
    intensity = light(40).numpy()[0, 0, :, 2, 1].astype(np.float64) * 100
    found = adapted(intensity, kernel=12, beta=0.05, gamma=0.3)
    lags, frame_ms = np.arange(12), 1000 / 120

    def kernel(order: int, factorial: int, tau: float) -> np.ndarray:
        return lags**order * np.exp(-lags / tau) / (tau ** (order + 1) * factorial)

    fast, slow = kernel(5, 120, 5.0 / frame_ms), kernel(2, 2, 60.0 / frame_ms)
    before = np.concatenate([np.full(11, intensity[0]), intensity])
    y = lfilter(fast, 1.0, before)[11:]
    z = lfilter(0.3 * fast + 0.7 * slow, 1.0, before)[11:]
    np.testing.assert_allclose(found, y / (1 + 0.05 * z), rtol=1e-5)


def test_steady_light_gives_a_steady_response_from_the_first_frame():
    response = adapted(np.full(10, 50.0), beta=0.01)
    np.testing.assert_allclose(response, response[0])


@pytest.mark.parametrize("kind", ["learned_temporal", "temporal_basis", "conv"])
def test_too_few_frames_are_refused_with_their_number(kind):
    with pytest.raises(ValueError, match="5 frames are too few for a kernel of 6 frames"):
        build_frontend(CONFIGS[kind], 1)(light(5))
