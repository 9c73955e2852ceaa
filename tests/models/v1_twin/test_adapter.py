"""The affine adapter: the identity at the start, and blurs, shifts, scales and turns as said."""

import math

import pytest
import torch

from utils.models.v1_twin.adapter import AffineAdapter, build_adapter, gaussian_matrix
from utils.models.v1_twin.config import AffineAdapterConfig, NoStage


def adapter(**changes: float | list[float]) -> AffineAdapter:
    built = AffineAdapter(AffineAdapterConfig(grid=(41, 51), blur=0.01))
    with torch.no_grad():
        for name, value in changes.items():
            getattr(built, name).copy_(torch.tensor(value))
    return built


def bump(
    x: float, y: float, sd: float = 2.0, grid: tuple[int, int] = (41, 51), scale: float = 1.0
) -> torch.Tensor:
    """A Gaussian (row, column) at x pixels right and y pixels up of the centre."""
    height, width = grid
    columns = torch.arange(width) - (width - 1) / 2
    rows = (height - 1) / 2 - torch.arange(height)
    distance = (columns - x) ** 2 + (rows[:, None] - y) ** 2
    return scale * torch.exp(-distance / (2 * sd**2))


def seen(image: torch.Tensor, **changes: float | list[float]) -> torch.Tensor:
    with torch.no_grad():
        return adapter(**changes)(image[None, None, None])[0, 0, 0]


def test_starts_as_the_identity_with_a_scale_of_exactly_1():
    fresh = AffineAdapter(AffineAdapterConfig())
    assert fresh.log_scale.exp().tolist() == [1, 1]
    frames = torch.rand(2, 3, 4, 51, 51) - 0.5
    torch.testing.assert_close(fresh(frames), frames, atol=2e-3, rtol=0)  # a blur of .25 pixels
    torch.testing.assert_close(seen(frames[0, 0, 0, :41]), frames[0, 0, 0, :41])


def test_every_parameter_learns_from_the_start():
    fresh = AffineAdapter(AffineAdapterConfig())
    (fresh(torch.rand(1, 1, 2, 51, 51)) * torch.rand(51, 51)).sum().backward()
    assert all((values.grad != 0).all() for values in fresh.parameters())


def test_blurs_a_gaussian_into_a_wider_one():
    blurred = seen(bump(3, -4, sd=2.0), log_blur=math.log(1.5))
    expected = bump(3, -4, sd=2.5, scale=2.0**2 / 2.5**2)  # variances add, the sum stays
    torch.testing.assert_close(blurred, expected, atol=2e-4, rtol=0)


def test_blur_counts_what_lies_outside_as_grey():
    weights = gaussian_matrix(9, torch.tensor(1.0))
    torch.testing.assert_close(weights.sum(1)[4], torch.tensor(1.0), atol=1e-4, rtol=0)
    assert weights.sum(1)[0] < 0.75  # about half of the Gaussian lies inside
    torch.testing.assert_close(weights, weights.mT)


@pytest.mark.parametrize(
    ("changes", "found_at"),
    [
        ({"shift": [4 / 25.5, -3 / 20.5]}, (6, 8)),  # looks 4 right and 3 down of the centre
        ({"angle": math.pi / 2}, (5, -10)),  # a quarter turn leads from there to (10, 5)
        ({"log_scale": [math.log(2), 0]}, (5, 5)),  # sees twice as many columns
        ({"log_scale": [0, math.log(0.75)]}, (10, 5 / 0.75)),
    ],
)
def test_samples_at_scale_times_turn_plus_shift(changes, found_at):
    """A bump at (10, 5) pixels is found where scale, turn and shift lead to it."""
    image = seen(bump(10, 5, sd=2.5), **changes)
    weights = image / image.sum()
    height, width = image.shape
    x = (weights.sum(0) * (torch.arange(width) - (width - 1) / 2)).sum()
    y = (weights.sum(1) * ((height - 1) / 2 - torch.arange(height))).sum()
    assert (float(x), float(y)) == pytest.approx(found_at, abs=0.05)


def test_brings_other_grids_onto_the_shared_one():
    assert adapter().output_size(80, 120) == (41, 51)
    wide = bump(0, 0, sd=20.0, grid=(82, 102))
    torch.testing.assert_close(seen(wide), bump(0, 0, sd=10.0), atol=2e-3, rtol=0)
    assert seen(torch.ones(41, 51), shift=[2.0, 0.0])[:, 1:].abs().max() == 0  # outside is grey


def test_none_leaves_frames_alone():
    none = build_adapter(NoStage())
    frames = torch.rand(1, 1, 2, 5, 7)
    assert none(frames) is frames
    assert none.output_size(5, 7) == (5, 7)
