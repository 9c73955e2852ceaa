"""The figure of calibration shows what was predicted and what came."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from utils.plots.calibration import plot_calibration


def test_calibration_of_each_model_about_what_it_should_be():
    levels = [0.1, 0.5, 0.9]
    reliability = pd.DataFrame(
        [
            {"model": model, "horizon": h, "level": level, "observed": level + off, "n": 50}
            for model, off in (("ar16", 0.0), ("informer", 0.04))
            for h in (1, 2)
            for level in levels
        ]
    )
    scores = pd.DataFrame({"model": ["ar16"] * 2 + ["informer"] * 2, "coverage_80": [0.7, 0.9] * 2})
    figure = plot_calibration(reliability, scores)
    left, right = figure.axes
    np.testing.assert_allclose(left.lines[1].get_ydata(), 0.04)
    assert [t.get_text() for t in right.get_yticklabels()] == ["ar16", "informer"]
    assert list(right.lines[0].get_xdata()) == [0.8, 0.8]  # nominal
    assert list(right.lines[1].get_xdata()) == [0.7, 0.9]  # range over the time ahead
    assert list(right.lines[2].get_xdata()) == [0.8]
    assert "n = 100 forecast values" in figure.get_suptitle()
    plt.close(figure)
