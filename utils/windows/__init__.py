"""Segments, blocks and fast windows, from memory or straight from a session file."""

from typing import TYPE_CHECKING, Any

from utils.windows.build import load_windows, window_data
from utils.windows.data import WindowBatch, WindowData, WindowSplit

if TYPE_CHECKING:
    from utils.windows.module import SessionsLoader, WindowDataModule, WindowLoader

__all__ = [
    "SessionsLoader",
    "WindowBatch",
    "WindowData",
    "WindowDataModule",
    "WindowLoader",
    "WindowSplit",
    "load_windows",
    "window_data",
]


def __getattr__(name: str) -> Any:
    """Import Lightning, which takes seconds, only when it is asked for."""
    if name in ("SessionsLoader", "WindowDataModule", "WindowLoader"):
        from utils.windows import module

        return getattr(module, name)
    raise AttributeError(f"module 'utils.windows' has no attribute '{name}'")
