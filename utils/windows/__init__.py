"""Segments, blocks and fast windows, from memory or straight from a session file."""

from utils.windows.build import load_windows, window_data
from utils.windows.data import WindowBatch, WindowData, WindowSplit

__all__ = ["WindowBatch", "WindowData", "WindowSplit", "load_windows", "window_data"]
