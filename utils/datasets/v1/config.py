"""Which recordings a twin learns from, and what it sees of them: one configuration each.

Recordings of a study share most settings. A parent file holds those, and the names of its
sessions: files of their own, or mappings within it, whose keys come before the parent's.

    n_lags: 33
    sessions:
      - monkey_1.yaml
      - {name: monkey_2, path: v1/monkey_2.h5, cell_ids: [0, 1, 5]}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from yaml import YAMLError

from utils.config import Config, ConfigError, near_matches, validate_config
from utils.datasets.v1.transforms import (
    Diff,
    MaxNorm,
    NamedTransform,
    RaisedCosines,
    SplitRelu,
    SymLog,
    Unsqueeze,
)
from utils.paths import EXPERIMENTS

DATA_CONFIGS = EXPERIMENTS / "v1_twin" / "data"

Share = Annotated[float, Field(ge=0, le=1)]


class V1Source(Config):
    """Columns of a recording's eye position or behaviour, and what becomes of them.

    Attributes
    ----------
    key : which array of the recording.
    columns : which of its columns.
    transforms : applied one after another.
    """

    key: Literal["eyepos", "behavior"] = "eyepos"
    columns: tuple[NonNegativeInt, ...] = (0, 1)
    transforms: tuple[NamedTransform, ...] = ()

    @property
    def dims(self) -> int:
        """Columns that come out."""
        return reduce(lambda n, kind: kind.width(n), self.transforms, len(self.columns))

    @model_validator(mode="after")
    def _check(self) -> Self:
        wrong = [kind.type for kind in self.transforms if not kind.fits_behavior]
        if wrong:
            raise ValueError(f"transform '{wrong[0]}' is for a stimulus, not for behaviour")
        return self


EYE_MOVEMENTS = V1Source(transforms=(Diff(), MaxNorm(), SymLog(), RaisedCosines(n=10), SplitRelu()))
EYE_POSITION = V1Source()


class V1DatasetConfig(Config):
    """One recording as a data set of the twin.

    Attributes
    ----------
    name : of the data set; adapters and readouts go by it.
    path : of the recording, absolute or below ``DATA``.
    cell_ids : cells of the recording; the readout has one unit for each, in this order.
    types : stimulus types to use; all where None.
    held_out_types : stimulus types that are kept from training, validation and test, and can be
        evaluated by themselves.
    rate_hz : bins per second; a recording at a multiple of it is reduced.
    n_lags : frames that a prediction depends on, its own bin's included.
    grid : rows and columns of the recording's frames.
    stimulus : transforms of the frames; None where the twin is not to see any. Without a
        transform frames stay uint8.
    behavior : what the twin knows of behaviour; by default eye movements (40 columns) and eye
        position (2). An empty list: nothing.
    max_missing : a cell that is not valid in a larger share of the bins does not count.
    fractions : shares of the trials of each stimulus type to train, validate and test on.
    seed : of the choice of these trials.
    """

    name: str
    path: str
    cell_ids: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]
    types: tuple[str, ...] | None = None
    held_out_types: tuple[str, ...] = ()
    rate_hz: PositiveFloat = 120.0
    n_lags: PositiveInt = 33
    grid: tuple[PositiveInt, PositiveInt] = (51, 51)
    stimulus: tuple[NamedTransform, ...] | None = ()
    behavior: tuple[V1Source, ...] = (EYE_MOVEMENTS, EYE_POSITION)
    max_missing: Share = 0.5
    fractions: tuple[Share, Share, Share] = (0.7, 0.15, 0.15)
    seed: NonNegativeInt = 0

    @property
    def behavior_dims(self) -> int:
        """Columns of behaviour that the twin sees; 0 where it sees none."""
        return sum(source.dims for source in self.behavior)

    @property
    def stimulus_channels(self) -> int:
        """Channels of a frame after the transforms; 0 where no stimulus is used."""
        if self.stimulus is None:
            return 0
        return reduce(lambda n, kind: kind.width(n), self.stimulus, 1)

    @property
    def n_cells(self) -> int:
        """Units of the readout."""
        return len(self.cell_ids)

    @model_validator(mode="after")
    def _check(self) -> Self:
        twice = [cell for cell, count in Counter(self.cell_ids).items() if count > 1]
        if twice:
            raise ValueError(f"cell_ids: cell {twice[0]} is listed more than once")
        if not self.fractions[0] or abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(
                f"fractions (train, validation, test) must sum to 1 and train on something; "
                f"found {self.fractions}"
            )
        kinds = [transform.type for transform in self.stimulus or ()]
        wrong = [kind.type for kind in self.stimulus or () if not kind.fits_stimulus]
        if wrong:
            raise ValueError(f"stimulus: transform '{wrong[0]}' is for behaviour, not for frames")
        if "splitrelu" in kinds and "unsqueeze" not in kinds[: kinds.index("splitrelu")]:
            raise ValueError("stimulus: splitrelu makes channels; put unsqueeze before it")
        if kinds.count(Unsqueeze().type) > 1:
            raise ValueError("stimulus: unsqueeze is listed more than once")
        return self


def load_dataset_configs(path_or_name: str | Path) -> list[V1DatasetConfig]:
    """Read the data sets of a YAML file.

    Parameters
    ----------
    path_or_name : a file, or the name of one in ``3_MODELLING/experiments/v1_twin/data/``. A file
        with a list of ``sessions`` is a parent: its other keys hold for all of them unless a
        session says otherwise. Mappings merge, lists replace. Any other file is one data set.

    Raises
    ------
    ConfigError
        No such file, unknown or missing keys, wrong values, or two data sets of one name.
    """
    parent = _config_file(path_or_name)
    common = _read_yaml(parent)
    sessions = common.pop("sessions", [{}])
    if not isinstance(sessions, list) or not sessions:
        raise ConfigError(f"{parent}: 'sessions' must list files or mappings, found {sessions!r}")
    configs = [_session(parent, common, place, entry) for place, entry in enumerate(sessions)]
    twice = [name for name, count in Counter(c.name for c in configs).items() if count > 1]
    if twice:
        raise ConfigError(f"{parent}: more than one session has the name '{twice[0]}'")
    return configs


def _session(parent: Path, common: Mapping[str, Any], place: int, entry: Any) -> V1DatasetConfig:
    if isinstance(entry, str):
        child = _config_file(parent.parent / entry)
        where, own = f"{child} (parent {parent.name})", _read_yaml(child)
        if "sessions" in own:
            raise ConfigError(f"{where}: 'sessions' belongs in a parent; a session has none")
    elif isinstance(entry, dict):
        where, own = f"{parent}, session {place}" if entry else str(parent), entry
    else:
        raise ConfigError(f"{parent}: session {place} is {entry!r}; expected a file or a mapping")
    return validate_config(V1DatasetConfig, _merged(common, own), where)


def _merged(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Own values before common ones, in nested mappings as well."""
    both = {
        key: _merged(common[key], own[key])
        for key in common.keys() & own.keys()
        if isinstance(common[key], dict) and isinstance(own[key], dict)
    }
    return {**common, **own, **both}


def _config_file(path_or_name: str | Path) -> Path:
    path = Path(path_or_name)
    named = DATA_CONFIGS / f"{path_or_name}.yaml"
    found = next((file for file in (path, named) if file.is_file()), None)
    if found is None:
        known = sorted(file.stem for file in DATA_CONFIGS.glob("*.yaml"))
        raise ConfigError(f"no such file of data sets: {path}{near_matches(path.stem, known)}")
    return found


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} is not readable as YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(values).__name__}")
    return values
