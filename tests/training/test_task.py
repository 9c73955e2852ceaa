"""What a forecasting task logs."""

from __future__ import annotations

import torch

from utils.training import ForecastTask, TrainerConfig, past_covariates
from utils.windows import WindowBatch


class Constant(torch.nn.Module):
    def forward(self, past, mask, covariates):
        return torch.zeros(len(past), 2, 1)

    def loss(self, output, future, mask):
        return future.mean()

    def point(self, output):
        return output


def test_masked_entries_do_not_count_in_the_logged_error():
    future = torch.tensor([[[2.0], [0.0]]])
    mask = torch.tensor([[[True], [False]]])
    batch = WindowBatch(
        future, future, None, mask, None, None, None, None, torch.zeros(1, dtype=torch.int64)
    )
    values, size = ForecastTask(Constant(), TrainerConfig()).losses(batch)
    assert values["mse"] == 4.0
    assert size == 1


def test_missing_covariates_become_nan():
    values = torch.zeros(1, 2, 1)
    mask = torch.tensor([[[True], [False]]])
    starts = torch.zeros(1, dtype=torch.int64)
    batch = WindowBatch(values, values, None, None, values, values, mask, mask, starts)
    assert past_covariates(batch).isnan().flatten().tolist() == [False, True]
    whole = WindowBatch(values, values, None, None, values, values, None, None, starts)
    assert past_covariates(whole) is values
