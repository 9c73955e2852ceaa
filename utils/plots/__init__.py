"""One function per figure: arrays and tables in, a matplotlib figure out; style in ``style``."""

from utils.plots.style import (
    add_colorbar,
    annotate_n,
    area_color,
    area_order,
    mark_simulated,
    model_color,
    use_style,
)

__all__ = [
    "add_colorbar",
    "annotate_n",
    "area_color",
    "area_order",
    "mark_simulated",
    "model_color",
    "use_style",
]
