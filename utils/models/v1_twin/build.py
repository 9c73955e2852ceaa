"""Build a twin from configurations, by name, from a file or as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from utils import config as hydra
from utils.config import ConfigError, validate_config
from utils.datasets.v1.config import V1DatasetConfig
from utils.models.v1_twin.config import TwinConfig, TwinDataset
from utils.models.v1_twin.twin import V1Twin


def load_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> TwinConfig:
    """Read the config of a twin.

    Parameters
    ----------
    name_or_path : a file in ``3_MODELLING/experiments/v1_twin/`` without its ending, such as
        ``"small"``, or the path of any other YAML file.
    overrides : such as ``["modulator.type=film", "readout.std=3"]``.

    Raises
    ------
    ConfigError
        No such config, an unknown key, or a wrong value; the message names it.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        return hydra.load_config(f"v1_twin/{name_or_path}", overrides, TwinConfig)
    try:
        values = OmegaConf.merge(OmegaConf.load(path), OmegaConf.from_dotlist(list(overrides)))
        plain = OmegaConf.to_container(values, resolve=True)
    except (OSError, YAMLError, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(f"{path} is not readable as the config of a twin: {error}") from None
    return validate_config(TwinConfig, plain, where=str(path))


def build_model(
    config: TwinConfig | Mapping[str, Any] | str | Path, dataset_configs: Sequence[Any]
) -> V1Twin:
    """Build a twin with one readout unit per cell of each data set.

    Parameters
    ----------
    config : of the model: as loaded, as plain values, by name, or a file.
    dataset_configs : ``V1DatasetConfig``, plain values of one, or anything with the attributes
        ``name``, ``cell_ids``, ``behavior_dims`` and ``grid``.

    Raises
    ------
    ConfigError
        A wrong config, or data sets that do not fit it or one another.
    """
    if isinstance(config, str | Path):
        config = load_config(config)
    elif isinstance(config, Mapping):
        config = validate_config(TwinConfig, config, where="config of the twin")
    datasets = [_dataset(entry, place) for place, entry in enumerate(dataset_configs)]
    return V1Twin(config, datasets)


def _dataset(entry: Any, place: int) -> TwinDataset:
    where = f"data set {place}"
    if isinstance(entry, Mapping):
        schema = TwinDataset if "behavior_dims" in entry else V1DatasetConfig
        entry = validate_config(schema, entry, where)
    fields = [name for name in TwinDataset.model_fields if hasattr(entry, name)]
    return validate_config(TwinDataset, {name: getattr(entry, name) for name in fields}, where)
