"""Benchmark data that is not a recording of neurons, in the windows that all models take."""

from utils.datasets.ett import ett_name, fetch_ett, load_ett, read_ett, write_ett_like

__all__ = ["ett_name", "fetch_ett", "load_ett", "read_ett", "write_ett_like"]
