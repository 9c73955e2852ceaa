"""Allen brain regions of ROIs.

The positions of mesoscope ROIs are projected to the surface of the brain, so their ids are those
of layer 1 ("VISp1"). What a reader wants to see is the area ("VISp"): the parent in the Allen
structure tree, which iblatlas carries with it (nothing is downloaded).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd

UNKNOWN = "unknown"


def region_table(ids: Sequence[int] | np.ndarray) -> pd.DataFrame:
    """Area of each region id: columns ``region`` (acronym) and ``region_id``.

    Layers become their area (593 VISp1 -> VISp, 385). Ids of one hemisphere (negative) become
    those of both. Ids that are not in the Allen atlas get the acronym ``unknown`` and keep
    their id.
    """
    known = {int(i): area_of(abs(int(i))) for i in np.unique(np.asarray(ids, dtype=np.int64))}
    areas = [known[int(i)] for i in ids]
    return pd.DataFrame(
        {
            "region": pd.Series([acronym for acronym, _ in areas], dtype=object),
            "region_id": np.array([region_id for _, region_id in areas], dtype=np.int64),
        }
    )


def area_of(region_id: int) -> tuple[str, int]:
    """Acronym and id of the area that holds a region: its parent where the region is a layer."""
    tree = _structure_tree()
    if region_id not in tree.index:
        return UNKNOWN, region_id
    region = tree.loc[region_id]
    if " layer " in region["name"].lower() and region["parent"] in tree.index:
        parent = int(region["parent"])
        return str(tree.loc[parent, "acronym"]), parent
    return str(region["acronym"]), region_id


@cache
def _structure_tree() -> pd.DataFrame:
    """Allen structure tree by id: acronym, name, parent."""
    from iblatlas.regions import BrainRegions  # late: only sessions with region ids need it

    regions = BrainRegions()
    columns = {"acronym": regions.acronym, "name": regions.name, "parent": regions.parent}
    tree = pd.DataFrame(columns, index=regions.id)
    return tree[tree.index > 0]
