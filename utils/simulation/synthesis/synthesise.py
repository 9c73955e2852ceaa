"""From parameters to sounds and their images, many at a time.

Sounds are made in batches of bounded memory, by several threads: the loops over time are compiled
and, like NumPy, let go of the interpreter's lock. No sound depends on the others of its batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from utils.config import near_matches
from utils.signals.spectra import Image, spectral_image
from utils.simulation.synthesis.config import DEFAULTS, REQUIRED, SynthesiserConfig
from utils.simulation.synthesis.presets import synthesiser_config
from utils.simulation.synthesis.sawtooth import filtered_sawtooth
from utils.simulation.synthesis.strings import modal_string, plucked_string

Synthesiser = SynthesiserConfig | Mapping[str, Any] | str
_AT_ONCE = 2**18  # samples of a batch, so that its arrays stay in the cache
_AT_LEAST_ZERO = ("filter_env_attack", "filter_env_decay", "filter_env_release")
_ZERO_TO_ONE = ("pluck_position", "brightness")


def synthesise(
    config: Synthesiser,
    parameters: Mapping[str, ArrayLike],
    *,
    batch: int | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Sounds of parameters.

    Parameters
    ----------
    config : the synthesiser, or its name.
    parameters : ``{name: (n,)}`` or numbers, which hold for all sounds; from ``draw_parameters``,
        measured or predicted, also outside the ranges of the config. Those that do not vary may be
        left out.
    batch : sounds that are made at a time; by default as many as fit the processor's cache.
    workers : threads, by default one per core.
    progress : show a progress bar.

    Returns
    -------
    ``(n, samples)`` float32.

    Raises
    ------
    ConfigError
        An unknown synthesiser.
    ValueError
        Parameters that are unknown, missing, of unequal length, not finite or impossible, named.
    """
    config = synthesiser_config(config)
    values = _values(config, parameters)
    n = len(values["note_number"])
    audio = np.empty((n, config.n_samples), np.float32)

    def make(rows: slice) -> None:
        audio[rows] = _sounds(config, values, rows, config.n_samples)

    batch = _fitting(config.n_samples) if batch is None else batch
    _over_batches(make, n, batch, workers, progress)
    return audio


def synthesise_images(
    config: Synthesiser,
    parameters: Mapping[str, ArrayLike],
    *,
    batch: int | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> Image:
    """Images of the sounds of parameters, ``(n, C, H, W)`` uint8, and their scale ``(n, 2)``, dB.

    As ``spectral_image(synthesise(...), config.image)``, with the memory of a few batches. Sounds
    end where their images do.
    """
    config = synthesiser_config(config)
    values = _values(config, parameters)
    n, image = len(values["note_number"]), config.image
    images = np.empty((n, image.n_channels, image.height, image.width), np.uint8)
    scale = np.empty((n, 2), np.float32)

    def make(rows: slice) -> None:
        sounds = _sounds(config, values, rows, image.n_samples)
        images[rows], scale[rows] = spectral_image(sounds, image)

    batch = _fitting(image.n_samples) if batch is None else batch
    _over_batches(make, n, batch, workers, progress)
    return images, scale


def _sounds(
    config: SynthesiserConfig, values: dict[str, np.ndarray], rows: slice, n_first: int
) -> np.ndarray:
    """The first samples of some sounds, ``(n, n_first)`` float32."""
    some = {name: value[rows] for name, value in values.items()}
    if config.synth_type == "simple":
        sounds = filtered_sawtooth(some, config.sample_rate, n_first, config.n_samples).T
    else:
        string = {"plucked": plucked_string, "modal": modal_string}[config.synth_type]
        sounds = string(some, config.sample_rate, n_first)
    return np.ascontiguousarray(sounds, np.float32)


def _fitting(n_samples: int) -> int:
    """Sounds in a batch; some at least, as a step in time is a loop over them."""
    return max(16, _AT_ONCE // n_samples)


def _over_batches(
    make: Callable[[slice], None], n: int, batch: int, workers: int | None, progress: bool
) -> None:
    if batch < 1 or (workers is not None and workers < 1):
        raise ValueError(f"batch and workers must be positive, found {batch} and {workers}")
    batches = [slice(first, first + batch) for first in range(0, n, batch)]
    with ThreadPoolExecutor(workers or os.cpu_count()) as threads:
        for _ in tqdm(threads.map(make, batches), total=len(batches), disable=not progress):
            pass


def _values(
    config: SynthesiserConfig, parameters: Mapping[str, ArrayLike]
) -> dict[str, np.ndarray]:
    """All parameters of the synthesiser, checked, ``(n,)`` float64 each."""
    known = DEFAULTS[config.synth_type]
    for name in parameters:
        if name not in known:
            raise ValueError(f"no parameter '{name}'{near_matches(name, [*known])}")
    fixed = {name: p.min for name, p in config.parameters.items() if not p.varies}
    optional = {name: value for name, value in known.items() if value is not REQUIRED}
    given = {**optional, **fixed, **parameters}
    if missing := [name for name in {**known, **config.varying} if name not in given]:
        raise ValueError(f"missing parameters: {', '.join(missing)}")
    values = {name: np.asarray(value, float) for name, value in given.items()}
    shapes = {name: value.shape for name, value in values.items() if value.ndim}
    n = max((shape[0] for shape in shapes.values()), default=1)
    if any(shape != (n,) for shape in shapes.values()):
        raise ValueError(f"parameters must be numbers or have one length (n,), found {shapes}")
    for name, value in values.items():
        _check(name, value, config)
    return {name: np.broadcast_to(value, n) for name, value in values.items()}


def _check(name: str, value: np.ndarray, config: SynthesiserConfig) -> None:
    highest_note = 69 + 12 * np.log2(config.sample_rate / 2 / 440)
    limits = {
        "note_number": (-np.inf, highest_note),
        "note_velocity": (0, 127),
        **dict.fromkeys(_AT_LEAST_ZERO, (0, np.inf)),
        **dict.fromkeys(_ZERO_TO_ONE, (0, 1)),
    }
    low, high = limits.get(name, (-np.inf, np.inf))
    wrong = ~(np.isfinite(value) & (value >= low) & (value <= high))
    if wrong.any():
        found = value[wrong].flat[0]
        raise ValueError(
            f"parameter '{name}' must be finite, in [{low:g}, {high:g}]; found {found}"
        )
