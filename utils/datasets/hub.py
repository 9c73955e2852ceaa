"""Public data sets of the Hugging Face Hub."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from utils.paths import data_dir

if TYPE_CHECKING:
    from datasets import DatasetDict

logger = logging.getLogger(__name__)


def load_from_hub(name: str, config: str | None = None, *, instead: str) -> DatasetDict:
    """All splits of a data set, kept in ``DATA/huggingface``.

    Parameters
    ----------
    instead : what to do without a network, the end of the message.

    Raises
    ------
    ConnectionError
        No network, and nothing kept from before.
    """
    from datasets import load_dataset  # takes seconds

    logger.info("loading %s from the Hugging Face Hub", name)
    try:
        return load_dataset(name, config, cache_dir=str(data_dir() / "huggingface"))
    except OSError as error:
        raise ConnectionError(
            f"cannot fetch {name} from the Hugging Face Hub: {error}; {instead}"
        ) from None
