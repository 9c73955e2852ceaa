"""The movie that excites a cell of a twin most, at limited contrast (Walker et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from utils.evaluation.v1_twin.predict import Predict, constant_behavior

CONTRAST = 0.03  # root mean square over the movie; most of it is spent in the receptive field
PIXEL_LIMIT = 0.5  # black and white
BLUR = 1.0  # pixels, of the gradient at the start; none at the end
STEP = 0.3  # of the movie's norm, at the start; a tenth of it at the end


@dataclass(frozen=True)
class MostExcitingInputs:
    """One movie per cell.

    Attributes
    ----------
    cells : (cell,) whose movies these are.
    movies : (cell, frame, H, W) as (grey level - 127) / 255; the cell's rate is that of the last
        frame's bin.
    rates : (cell,) counts per bin at the end of its movie.
    blank_rates : (cell,) the same for a grey screen.
    """

    cells: NDArray[np.intp]
    movies: NDArray[np.float32]
    rates: NDArray[np.float32]
    blank_rates: NDArray[np.float32]


def most_exciting_inputs(
    predict: Predict,
    shape: tuple[int, int, int],
    cells: Sequence[int],
    behavior: NDArray | None = None,
    steps: int = 100,
    jitter: int = 1,
    contrast: float = CONTRAST,
    seed: int = 0,
) -> MostExcitingInputs:
    """Climb the gradient of each cell's rate from faint noise, all cells at once.

    Each step shifts the movies by some pixels, takes the gradient of every cell with respect to its
    own movie, blurs it, less from step to step, and scales the movie back to the contrast allowed;
    shifts and blur keep out the pixel noise that networks like and cells do not.

    Parameters
    ----------
    shape : (frame, H, W) of a movie, just long enough for one bin.
    cells : places among the cells that ``predict`` gives.
    behavior : (D,) that the model is given all the time.
    jitter : most pixels of a shift.
    contrast : largest root mean square of a movie.
    """
    cells = np.asarray(cells, np.intp)
    generator = torch.Generator().manual_seed(seed)
    own = torch.arange(len(cells)), torch.as_tensor(cells)

    def own_rates(movies: Tensor) -> Tensor:
        return predict(movies, constant_behavior(behavior, movies))[:, -1][own]

    movies = _limited(0.01 * torch.randn((len(cells), *shape), generator=generator), contrast)
    for step in tqdm(range(steps), "most exciting inputs", delay=1, leave=False):
        left = 1 - step / steps
        shifts = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
        movies.requires_grad_()
        rate = own_rates(movies.roll(shifts, dims=(2, 3))).sum()
        (gradient,) = torch.autograd.grad(rate, movies)
        gradient = _unit(_blurred(gradient, BLUR * left))
        size = contrast * np.sqrt(np.prod(shape)) * STEP * (0.1 + 0.9 * left)
        movies = _limited(movies.detach() + size * gradient, contrast)
    with torch.no_grad():
        rates, blank = (own_rates(m).float().cpu().numpy() for m in (movies, 0 * movies))
    return MostExcitingInputs(cells, movies.numpy(), rates, blank)


def _limited(movies: Tensor, contrast: float) -> Tensor:
    """Without pixels beyond black and white, and at most of this contrast."""
    movies = movies.clamp(-PIXEL_LIMIT, PIXEL_LIMIT)
    size = movies.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return movies * (contrast / size.clamp_min(1e-12)).clamp_max(1)


def _unit(gradient: Tensor) -> Tensor:
    """Of length 1; 0 where a cell has no gradient."""
    length = gradient.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
    return gradient / length.clamp_min(1e-12)


def _blurred(gradient: Tensor, sigma: float) -> Tensor:
    """(cell, frame, H, W) under a Gaussian of some pixels."""
    reach = max(1, int(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, dtype=gradient.dtype, device=gradient.device)
    weights = torch.exp(-((offsets / max(sigma, 1e-3)) ** 2) / 2)
    weights = (weights / weights.sum())[None, None, None]
    flat = gradient.reshape(-1, 1, *gradient.shape[2:])
    flat = F.conv2d(flat, weights, padding=(0, reach))
    return F.conv2d(flat, weights.mT, padding=(reach, 0)).reshape(gradient.shape)
