"""A trained core on new recordings: only adapters, readouts and histories are learnt anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from utils.config import ConfigError
from utils.models.v1_twin.build import build_model
from utils.models.v1_twin.twin import V1Twin


def transfer(model: V1Twin, dataset_configs: Sequence[Any]) -> V1Twin:
    """A twin of other data sets with a frozen copy of a trained core, and the rest fresh.

    Train it as any other, usually with a learning rate of 1e-3. To train the core as well:
    ``twin.core.requires_grad_(True)``.

    Parameters
    ----------
    dataset_configs : as for :func:`utils.models.v1_twin.build_model`.

    Raises
    ------
    ConfigError
        Data sets that the core cannot see, such as those with other behaviour.
    """
    twin = build_model(model.config, dataset_configs)
    try:
        twin.core.load_state_dict(model.core.state_dict())
    except RuntimeError as error:
        raise ConfigError(
            f"the core was trained on {_needs(model)}, the new data sets have {_needs(twin)}; "
            f"stimulus and behavior of their configs must give the same: {error}"
        ) from error
    twin.core.requires_grad_(False)
    return twin


def _needs(model: V1Twin) -> str:
    data = next(iter(model.datasets.values()))
    return f"{data.stimulus_channels} channels of frames and {data.behavior_dims} of behaviour"
