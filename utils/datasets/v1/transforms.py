"""What is done to stimulus and behaviour before a model sees them, as named, checked settings.

A transform is applied to one run at a time: bins in a row, of one trial and without a hole. So
nothing crosses the border of a trial. All are causal: a value depends on its own bin and earlier
ones, at most ``reach`` bins back. What must be fitted (``maxnorm``, ``zscore``) is fitted on runs
of training trials and kept as plain numbers, for recordings to come.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt
from scipy import fft

from utils.config import Config
from utils.signals import raised_cosines

Run = NDArray[np.floating]  # (time, column) of behaviour, (time, [channel,] row, column) of frames
Statistics = dict[str, float]  # what a transform learnt from training trials

GREY, WHITE = 127, 255


class Transform(Config):
    """Base of all transforms.

    Attributes
    ----------
    fits_stimulus, fits_behavior : what it can be applied to.
    reach : how many earlier bins a value depends on.
    """

    fits_stimulus: ClassVar[bool] = True
    fits_behavior: ClassVar[bool] = True

    @property
    def reach(self) -> int:
        """Without a memory, unless told otherwise."""
        return 0

    def width(self, columns: int) -> int:
        """Columns (behaviour) or channels (stimulus) that come out, from those that go in."""
        return columns

    def fit(self, runs: Iterable[Run]) -> Statistics:
        """What has to be known of training runs."""
        return {}

    @abstractmethod
    def apply(self, run: Run, statistics: Statistics) -> Run:
        """The transformed run, as long as it was."""


class PixelNorm(Transform):
    """Grey becomes 0: (x - 127) / 255."""

    type: Literal["pixelnorm"] = "pixelnorm"
    fits_behavior: ClassVar[bool] = False

    def apply(self, run: Run, statistics: Statistics) -> Run:
        return (run.astype(np.float32) - GREY) / WHITE


class Diff(Transform):
    """Change since the bin before; 0 in the first bin of a run."""

    type: Literal["diff"] = "diff"

    @property
    def reach(self) -> int:
        return 1

    def apply(self, run: Run, statistics: Statistics) -> Run:
        run = run.astype(np.float32)
        return np.diff(run, axis=0, prepend=run[:1])


class MaxNorm(Transform):
    """Divide by the largest absolute value of training, one number for all columns."""

    type: Literal["maxnorm"] = "maxnorm"

    def fit(self, runs: Iterable[Run]) -> Statistics:
        largest = max((float(np.abs(run).max(initial=0)) for run in runs), default=0.0)
        return {"largest": largest or 1.0}  # what is 0 everywhere stays 0

    def apply(self, run: Run, statistics: Statistics) -> Run:
        return run.astype(np.float32) / np.float32(statistics["largest"])


class ZScore(Transform):
    """Mean 0 and standard deviation 1 over training, one number for all columns."""

    type: Literal["zscore"] = "zscore"

    def fit(self, runs: Iterable[Run]) -> Statistics:
        sums = [(run.size, run.sum(dtype=float), np.square(run, dtype=float).sum()) for run in runs]
        n, total, squares = np.sum(sums, axis=0) if sums else (0, 0.0, 0.0)
        mean = total / max(n, 1)
        sd = np.sqrt(max(squares / max(n, 1) - mean**2, 0.0))
        return {"mean": float(mean), "sd": float(sd) or 1.0}  # what never changes becomes 0

    def apply(self, run: Run, statistics: Statistics) -> Run:
        run = run.astype(np.float32) - np.float32(statistics["mean"])
        return run / np.float32(statistics["sd"])


class SymLog(Transform):
    """Compress large values on both sides of 0: sign(x) log(1 + abs(x))."""

    type: Literal["symlog"] = "symlog"

    def apply(self, run: Run, statistics: Statistics) -> Run:
        return (np.sign(run) * np.log1p(np.abs(run))).astype(np.float32)


class RaisedCosines(Transform):
    """Each column's recent past, seen through bumps that widen with the lag (Pillow et al. 2008).

    Attributes
    ----------
    n : bumps; the columns of the output are those of the first input column, of the second, ..
    length : bins of the past, including the present one.
    offset : bins; the larger, the more alike are the widths of the bumps.
    """

    type: Literal["raised_cosines"] = "raised_cosines"
    fits_stimulus: ClassVar[bool] = False
    n: PositiveInt = 10
    length: Annotated[int, Field(ge=2)] = 32
    offset: PositiveFloat = 4.0

    @property
    def reach(self) -> int:
        return self.length - 1

    def width(self, columns: int) -> int:
        return columns * self.n

    @property
    def basis(self) -> NDArray[np.float32]:
        """(n, length) bumps with a height of 1, evenly spaced in log(lag + offset)."""
        return raised_cosines(self.length, self.n, self.offset).astype(np.float32)

    def apply(self, run: Run, statistics: Statistics) -> Run:
        return _filter(run, self.basis).reshape(len(run), -1)


class SplitRelu(Transform):
    """Positive and negative parts: first all of max(x, 0), then all of max(-x, 0)."""

    type: Literal["splitrelu"] = "splitrelu"

    def width(self, columns: int) -> int:
        return 2 * columns

    def apply(self, run: Run, statistics: Statistics) -> Run:
        return np.concatenate([run.clip(min=0), (-run).clip(min=0)], axis=1, dtype=np.float32)


class Smooth(Transform):
    """Average over recent bins with the past half of a Gaussian.

    Attributes
    ----------
    sd : bins. At the start of a run the bins that there are are averaged.
    """

    type: Literal["smooth"] = "smooth"
    sd: PositiveFloat = 2.0

    @property
    def reach(self) -> int:
        return int(np.ceil(3 * self.sd))

    def apply(self, run: Run, statistics: Statistics) -> Run:
        weights = np.exp(-0.5 * (np.arange(self.reach + 1) / self.sd) ** 2)[None]
        total = _filter(run.reshape(len(run), -1), weights)[..., 0]
        present = _filter(np.ones((len(run), 1)), weights)[..., 0]
        return (total / present).astype(np.float32).reshape(run.shape)


class Whitening(Transform):
    """Flatten the 1/f spectrum of natural images: f exp(-(f / cutoff)^4) (Olshausen & Field 1997).

    Attributes
    ----------
    cutoff : cycles per pixel.
    """

    type: Literal["whitening"] = "whitening"
    fits_behavior: ClassVar[bool] = False
    cutoff: PositiveFloat = 0.4

    def apply(self, run: Run, statistics: Statistics) -> Run:
        height, width = run.shape[-2:]
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
        gain = frequency * np.exp(-((frequency / self.cutoff) ** 4))
        spectrum = fft.rfft2(run.astype(np.float32))  # stays in single precision, unlike NumPy's
        return fft.irfft2(spectrum * gain.astype(np.float32), s=(height, width))


class Unsqueeze(Transform):
    """Give frames an axis of channels: (time, row, column) becomes (time, 1, row, column)."""

    type: Literal["unsqueeze"] = "unsqueeze"
    fits_behavior: ClassVar[bool] = False

    def apply(self, run: Run, statistics: Statistics) -> Run:
        return run[:, None]


TRANSFORMS: dict[str, type[Transform]] = {
    kind.model_fields["type"].default: kind
    for kind in (
        PixelNorm, Diff, MaxNorm, ZScore, SymLog, RaisedCosines, SplitRelu, Smooth, Whitening,
        Unsqueeze,
    )
}  # fmt: skip


def _from_name(value: Any) -> Any:
    """``diff`` stands for ``{type: diff}``."""
    return {"type": value} if isinstance(value, str) else value


AnyTransform = Annotated[
    PixelNorm | Diff | MaxNorm | ZScore | SymLog | RaisedCosines | SplitRelu | Smooth
    | Whitening | Unsqueeze,
    Field(discriminator="type"),
]  # fmt: skip
NamedTransform = Annotated[AnyTransform, BeforeValidator(_from_name)]


def fit_transforms(transforms: Sequence[Transform], runs: Sequence[Run]) -> list[Statistics]:
    """Statistics of each transform, fitted one after another on runs of training trials."""
    fitted: list[Statistics] = []
    for place, transform in enumerate(transforms):
        before, known = transforms[:place], tuple(fitted)
        # one run at a time: all frames of a recording as floats would fill the memory
        fitted.append(transform.fit(apply_transforms(before, known, run) for run in runs))
    return fitted


def apply_transforms(
    transforms: Sequence[Transform], fitted: Sequence[Statistics], run: Run
) -> Run:
    """A run after all transforms."""
    for transform, statistics in zip(transforms, fitted, strict=True):
        run = transform.apply(run, statistics)
    return run


def _filter(run: Run, weights: NDArray[np.floating]) -> Run:
    """Causal filters (filter, lag) of each column, from silence: (time, column, filter)."""
    silence = np.zeros((weights.shape[1] - 1, run.shape[1]), np.float32)
    past = sliding_window_view(np.concatenate([silence, run]), weights.shape[1], axis=0)
    return past @ weights[:, ::-1].T.astype(np.float32)
