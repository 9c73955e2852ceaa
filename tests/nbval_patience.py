"""A plugin for nbval, which gives up on a kernel whose outputs come 5 s after it has answered.

On busy cores they do.
"""

from __future__ import annotations

import pytest

SECONDS = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Wait longer for the outputs of each cell."""
    for item in items:
        if hasattr(item, "output_timeout"):
            item.output_timeout = SECONDS
