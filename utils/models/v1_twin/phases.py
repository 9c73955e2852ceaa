"""Time pooling that keeps every frame: the phases of a strided sequence, side by side in the batch.

A network that pools over p frames computes every p-th frame only, counted from the last one back.
To predict every frame in one pass, pooling slides by one frame, and the p interleaved sequences
that result become p entries of the batch. Each is what the strided network sees for the frames that
it ends at. Where pools follow one another so do foldings: by p, then by q, is by p * q at once.
"""

from __future__ import annotations

from torch import Tensor


def fold_phases(x: Tensor, phases: int, dim: int = 2) -> Tensor:
    """Interleaved sequences as entries of the batch.

    Parameters
    ----------
    x : (batch, .., frame, ..) with frames along ``dim``.
    phases : frames between neighbours of one sequence.

    Returns
    -------
    (phase * batch, .., frame // phases, ..); the last frame ends the last phase. Frames at the
    start that do not fill a step of all phases are left out.
    """
    n_frames = x.shape[dim] // phases
    if n_frames == 0:
        raise ValueError(
            f"{x.shape[dim]} frames are left for {phases} phases: pooling over time needs at "
            f"least {phases}; give longer sequences"
        )
    x = x.narrow(dim, x.shape[dim] - n_frames * phases, n_frames * phases)
    return x.unflatten(dim, (n_frames, phases)).movedim(dim + 1, 0).flatten(0, 1)


def unfold_phases(x: Tensor, phases: int, dim: int = 2) -> Tensor:
    """(phase * batch, .., frame, ..) -> (batch, .., frame * phases, ..), in order of time again."""
    return x.unflatten(0, (phases, -1)).movedim(0, dim + 1).flatten(dim, dim + 1)
