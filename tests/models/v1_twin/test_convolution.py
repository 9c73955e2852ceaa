"""Every way to convolve gives what a 3-D convolution gives."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from utils.models.v1_twin.convolution import CausalConv, convolve

CASES = {  # channels, outputs, kernel, stride, depthwise?
    "space": (3, 5, (1, 3, 4), 1, False),
    "space, stride": (3, 5, (1, 3, 3), 2, False),
    "time": (3, 5, (4, 1, 1), 1, False),
    "time of one channel": (1, 4, (4, 1, 1), 1, False),
    "time, stride": (3, 5, (4, 1, 1), 2, False),
    "both": (3, 5, (3, 3, 2), 1, False),
    "both, stride": (3, 5, (3, 3, 3), 2, False),
    "point": (3, 5, (1, 1, 1), 1, False),
    "space per channel": (3, 6, (1, 3, 3), 1, True),
    "time per channel": (3, 3, (4, 1, 1), 1, True),
    "time per channel, twice": (3, 6, (4, 1, 1), 1, True),
    "both per channel": (3, 6, (3, 3, 3), 2, True),
}


def inputs(channels, outputs, kernel, depthwise, dtype=torch.float64):
    torch.manual_seed(0)
    x = torch.randn(2, 6, channels, 8, 7, dtype=dtype)
    weight = torch.randn(outputs, 1 if depthwise else channels, *kernel, dtype=dtype)
    return x, weight, torch.randn(outputs, dtype=dtype)


def reference(x, weight, bias, stride, groups):
    """torch's 3-D convolution, whose frames come after the channels."""
    out = functional.conv3d(x.transpose(1, 2), weight, bias, (1, stride, stride), groups=groups)
    return out.transpose(1, 2)


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_a_3d_convolution(case):
    channels, outputs, kernel, stride, depthwise = CASES[case]
    groups = channels if depthwise else 1
    values = inputs(channels, outputs, kernel, depthwise)
    results = []
    for function in (convolve, reference):
        x, weight, bias = (value.clone().requires_grad_() for value in values)
        out = function(x, weight, bias, stride, groups)
        gradients = torch.autograd.grad(out.square().sum(), (x, weight, bias))
        results.append((out, *gradients))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("case", CASES)
def test_float32_follows_float64(case):
    channels, outputs, kernel, stride, depthwise = CASES[case]
    values = inputs(channels, outputs, kernel, depthwise)
    groups = channels if depthwise else 1
    exact = convolve(*values, stride, groups)
    found = convolve(*(value.float() for value in values), stride, groups)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-4)


def test_a_causal_convolution_repeats_the_first_frame():
    torch.manual_seed(0)
    conv, x = CausalConv(2, 3, (3, 2, 2)), torch.randn(2, 5, 2, 4, 4)
    padded = functional.pad(x.transpose(1, 2), (0, 0, 0, 0, 2, 0), mode="replicate")
    expected = functional.conv3d(padded, conv.weight, conv.bias).transpose(1, 2)
    torch.testing.assert_close(conv(x), expected)


def test_too_few_frames_and_too_small_frames_are_refused_with_their_numbers():
    x = torch.zeros(1, 3, 1, 5, 5)
    with pytest.raises(ValueError, match="3 frames are too few for a kernel of 4 frames"):
        convolve(x, torch.zeros(1, 1, 4, 1, 1))
    with pytest.raises(ValueError, match="a kernel of 7 x 3 does not fit into frames of 5 x 5"):
        convolve(x, torch.zeros(1, 1, 1, 7, 3))
