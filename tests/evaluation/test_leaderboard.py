"""The leaderboard: order, groups, verdicts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from utils.evaluation import leaderboard, verdict


def row(model, mse, low, high, source="simulated", data="a"):
    return {
        "model": model, "source": source, "split": "test", "data": data, "mse": mse,
        "over_mean_skill": (low + high) / 2, "over_mean_low": low, "over_mean_high": high,
        "n_blocks": 12,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.1, 0.05, 0.2), "beats mean"),
        ((0.1, -0.05, 0.2), "tie with mean"),
        ((-0.1, -0.2, -0.05), "worse than mean"),
        ((0.1, np.nan, np.nan), "interval not estimable"),
        ((np.nan, np.nan, np.nan), "not scored"),
    ],
)
def test_verdicts(numbers, words):
    assert verdict(*numbers) == words


def test_best_first_and_never_across_recordings():
    board = leaderboard(
        [
            row("b", 2.0, -0.1, 0.1),
            row("a", 1.0, 0.1, 0.2),
            row("mean", 1.5, 0.0, 0.0),
            row("c", 0.1, -0.3, -0.2, source="ibl", data="z"),
        ]
    )
    assert board["model"].tolist() == ["c", "a", "mean", "b"]
    assert board["verdict"].tolist() == [
        "worse than mean", "beats mean", "the reference", "tie with mean",
    ]  # fmt: skip
    assert board["source"].tolist() == ["ibl", "simulated", "simulated", "simulated"]


def test_a_board_can_be_extended(tmp_path):
    first = leaderboard([row("a", 1.0, 0.1, 0.2)])
    first.to_csv(tmp_path / "board.csv", index=False)
    read = pd.read_csv(tmp_path / "board.csv")
    board = leaderboard([read, row("b", 0.5, -0.1, 0.1)])
    assert board["model"].tolist() == ["b", "a"]
    assert board["verdict"].tolist() == ["tie with mean", "beats mean"]


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="at least one model"):
        leaderboard([])
