"""What a twin was trained on: enough to show it new recordings of the same sessions alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

from torch import Tensor

from utils.config import Config, near_matches
from utils.datasets.v1.config import V1DatasetConfig


class TwinData(Protocol):
    """What a twin learns from, see :class:`utils.datasets.v1.V1DataModule`."""

    configs: Sequence[V1DatasetConfig]
    statistics: Mapping[str, Mapping[str, list]]
    mean_rates: Mapping[str, Tensor]

    def train_dataloader(self) -> Any:
        """Batches by data set, in another order in each epoch."""

    def val_dataloader(self) -> Any:
        """Batches of the validation trials."""


class TrainedOn(Config):
    """Attributes
    ----------
    datasets : with the ids of their cells.
    statistics : of transforms by data set, from training trials; ``V1DataModule(statistics=...)``.
    mean_rates : by data set, mean response per bin of each cell in training; NaN without any.
    """

    datasets: tuple[V1DatasetConfig, ...]
    statistics: dict[str, dict[str, list]]
    mean_rates: dict[str, tuple[float, ...]]

    @classmethod
    def of(cls, data: TwinData) -> Self:
        """What there is to know of a data module."""
        return cls(
            datasets=tuple(data.configs),
            statistics={name: dict(found) for name, found in data.statistics.items()},
            mean_rates={name: tuple(rates.tolist()) for name, rates in data.mean_rates.items()},
        )

    def dataset(self, name: str) -> V1DatasetConfig:
        """The configuration of one data set.

        Raises
        ------
        ValueError
            There is no such data set.
        """
        by_name = {config.name: config for config in self.datasets}
        if name not in by_name:
            known = near_matches(name, list(by_name))
            raise ValueError(f"the twin was not trained on '{name}'{known}")
        return by_name[name]
