"""Right answers are counted, with an interval of their number."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.metrics.behaviour import wilson_interval
from utils.metrics.classification import accuracy_table


def test_right_answers_are_counted():
    truth = torch.tensor([0, 1, 2, 2])
    answers = {"model": (truth, torch.tensor([0, 1, 2, 0])), "majority": (truth, np.full(4, 2))}
    table = accuracy_table(answers, {"majority"})
    assert table["accuracy"].to_dict() == {"model": 0.75, "majority": 0.5}
    assert table["n"].tolist() == [4, 4]
    assert table["baseline"].tolist() == [False, True]
    assert tuple(table.loc["model", ["low", "high"]]) == pytest.approx(wilson_interval(3, 4))
    assert table.index.name == "model"
