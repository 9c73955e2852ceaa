"""How often models name things right."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from utils.metrics.behaviour import wilson_interval


def accuracy_table(
    answers: Mapping[str, tuple[ArrayLike, ArrayLike]], baselines: Collection[str] = ()
) -> pd.DataFrame:
    """Share of right answers of several models, with 95 % Wilson intervals.

    The intervals take examples as independent.

    Parameters
    ----------
    answers : model -> true and predicted classes (example,).
    baselines : which of the models are only there to be compared with.

    Returns
    -------
    Index = model; ``accuracy``, ``low``, ``high`` (0 .. 1), ``n`` (examples) and ``baseline``.
    """
    right = {name: np.equal(*map(np.asarray, pair)) for name, pair in answers.items()}
    table = pd.DataFrame({"accuracy": {name: hits.mean() for name, hits in right.items()}})
    counts = np.array([[hits.sum(), hits.size] for hits in right.values()])
    table["low"], table["high"] = wilson_interval(*counts.T)
    table["n"], table["baseline"] = counts[:, 1], table.index.isin(list(baselines))
    return table.rename_axis("model")
