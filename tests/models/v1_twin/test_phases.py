"""Phases: interleaved sequences in the batch, and back."""

from __future__ import annotations

import pytest
import torch

from utils.models.v1_twin.phases import fold_phases, unfold_phases


def sequence(n_frames: int) -> torch.Tensor:
    """(batch 2, channel 1, frame, 1, 1); frame t of entry b is 100 b + t."""
    return (100 * torch.arange(2)[:, None] + torch.arange(n_frames))[:, None, :, None, None]


def test_each_phase_holds_every_pth_frame_of_each_entry():
    folded = fold_phases(sequence(6), 3)[:, 0, :, 0, 0]
    expected = [[0, 3], [100, 103], [1, 4], [101, 104], [2, 5], [102, 105]]
    assert folded.tolist() == expected


def test_frames_at_the_start_that_do_not_fill_all_phases_are_left_out():
    folded = fold_phases(sequence(8), 3)[:, 0, :, 0, 0]
    assert folded[[0, 2, 4]].tolist() == [[2, 5], [3, 6], [4, 7]]


@pytest.mark.parametrize("phases", [1, 2, 3, 6])
def test_unfolding_undoes_folding(phases):
    x = sequence(12)
    torch.testing.assert_close(unfold_phases(fold_phases(x, phases), phases), x)


def test_folding_twice_is_folding_by_the_product():
    x = sequence(12)
    torch.testing.assert_close(fold_phases(fold_phases(x, 2), 3), fold_phases(x, 6))


def test_frames_may_lie_along_another_dimension():
    x = torch.randn(2, 6, 4)
    folded = fold_phases(x, 2, dim=1)
    assert folded.shape == (4, 3, 4)
    torch.testing.assert_close(folded[:2], x[:, 0::2])
    torch.testing.assert_close(unfold_phases(folded, 2, dim=1), x)


def test_too_few_frames_are_refused_with_their_number():
    with pytest.raises(ValueError, match=r"2 frames are left for 3 phases"):
        fold_phases(sequence(2), 3)
