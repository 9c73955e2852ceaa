"""Which trials a twin is trained, validated and tested on."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from utils.config import ConfigError, near_matches
from utils.datasets.v1.config import V1DatasetConfig
from utils.splits import TEST, TRAIN, UNUSED, VALIDATION

HELD_OUT = 4  # types of stimuli that are none of the others' business


def split_trials(types: Sequence[str], config: V1DatasetConfig) -> NDArray[np.int8]:
    """Label each trial as train, validation, test, held out or unused.

    Each type of stimulus is split by itself, at random. A movie that is repeated is held out by
    repeats: models that train on the movie are tested on other trials of it, with other eye
    movements. To test on a movie that a model never met, name its type in ``held_out_types``.

    Parameters
    ----------
    types : (trial,) types of stimuli.

    Returns
    -------
    (trial,) int8 labels, those of :mod:`utils.splits` and ``HELD_OUT``. A type with three trials
    or more has one of each label that has a share.

    Raises
    ------
    ConfigError
        The configuration names a type that no trial has.
    """
    types = np.asarray(types)
    known = sorted(set(types.tolist()))
    for name in (*(config.types or ()), *config.held_out_types):
        if name not in known:
            raise ConfigError(
                f"data set '{config.name}': no trial has the type '{name}'"
                f"{near_matches(name, known)}"
            )
    labels = np.full(len(types), UNUSED, np.int8)
    for name in known if config.types is None else config.types:
        trials = np.flatnonzero(types == name)
        # by name, so that the trials of a type do not depend on which others are used
        rng = np.random.default_rng([config.seed, crc32(name.encode())])
        counts = _shares(config.fractions, len(trials))
        labels[rng.permutation(trials)] = np.repeat([TRAIN, VALIDATION, TEST], counts)
    labels[np.isin(types, config.held_out_types)] = HELD_OUT
    return labels


def _shares(fractions: Sequence[float], n: int) -> NDArray[np.int64]:
    """How many of n trials each split gets."""
    wanted = np.array(fractions) * n
    counts = ((wanted > 0) & (n >= 3)).astype(np.int64)
    while counts.sum() < n:
        counts[np.argmax(wanted - counts)] += 1
    return counts
