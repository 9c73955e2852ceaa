"""ETT files: standard borders and counts, scaling from the training block, broken files named."""

from __future__ import annotations

import hashlib
import urllib.request
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
import torch

from utils.config import ConfigError
from utils.datasets import ett, ett_name, fetch_ett, load_ett, read_ett, write_ett_like
from utils.datasets.ett import CHANNELS, calendar_marks
from utils.paths import data_dir
from utils.splits import TEST, TRAIN, UNUSED, VALIDATION
from utils.windows import WindowDataModule


@pytest.fixture(scope="module")
def hourly(tmp_path_factory):
    """Simulated, a month longer than the standard borders need."""
    return write_ett_like(tmp_path_factory.mktemp("ett") / "hourly.csv", months=21)


@pytest.mark.parametrize(
    ("context", "horizon", "train", "later"), [(96, 96, 8449, 2785), (336, 720, 7585, 2161)]
)
def test_every_later_row_is_forecast_and_contexts_reach_back(
    hourly, context, horizon, train, later
):
    data = load_ett(hourly, context, horizon)
    assert (len(data.train), len(data.validation), len(data.test)) == (train, later, later)
    assert data.validation.starts[0] == 8640 - context
    assert data.test.starts[0] == 8640 + 2880 - context
    assert data.test.starts[-1] + context + horizon == 8640 + 2 * 2880
    counts = {label: int((data.split == label).sum()) for label in (TRAIN, VALIDATION, TEST)}
    assert counts == {TRAIN: 8640, VALIDATION: 2880, TEST: 2880}
    assert (data.split[14400:] == UNUSED).all()


def test_rows_every_15_minutes_have_four_times_the_borders(tmp_path):
    data = load_ett(write_ett_like(tmp_path / "quarters.csv", "m"), 96, 96)
    assert len(data.train) == 4 * 8640 - 191
    assert len(data.validation) == len(data.test) == 4 * 2880 - 95
    assert data.frame_rate == pytest.approx(1 / 900)
    assert data.covariate_names == ("minute", "hour", "weekday", "day", "day_of_year")


def test_z_scores_are_those_of_the_training_block(hourly):
    data = load_ett(hourly, 96, 96)
    train = data.activity[:8640].double()
    torch.testing.assert_close(
        train.mean(0), torch.zeros(7, dtype=torch.float64), rtol=0, atol=1e-4
    )
    torch.testing.assert_close(
        train.std(0, correction=0), torch.ones(7, dtype=torch.float64), rtol=0, atol=1e-4
    )
    table = read_ett(hourly)
    restored = data.activity.numpy() * data.scaler["scale"] + data.scaler["offset"]
    assert np.allclose(restored, table, atol=1e-4)
    assert data.activity.dtype == torch.float32
    assert data.neurons["uuid"].tolist() == list(CHANNELS)
    assert data.unit == "z"


def test_the_reference_file_has_the_counts_of_the_published_tables(reference):
    path = reference / "ett" / "ETTh1.csv"
    data = load_ett(path, 336, 96)
    assert ett_name(path) == "ETTh1"
    assert data.source == "ett"
    assert (len(data.train), len(data.validation), len(data.test)) == (8209, 2785, 2785)
    truth = pd.read_csv(path)["OT"]  # against an own reading of the file
    expected = (truth - truth[:8640].mean()) / truth[:8640].std(ddof=0)
    batch = data.test.batch([0, 2784])
    assert np.allclose(batch.past[0, :, 6], expected[11520 - 336 : 11520], atol=1e-5)
    assert np.allclose(batch.future[1, :, 6], expected[14400 - 96 : 14400], atol=1e-5)


def test_calendar_marks_span_half_a_unit_on_either_side():
    dates = pd.DatetimeIndex(["2016-01-01 00:00", "2016-12-31 23:00", "2017-01-02 12:00"])
    marks = calendar_marks(dates)
    assert marks["hour"].tolist() == [-0.5, 0.5, pytest.approx(12 / 23 - 0.5)]
    assert marks["weekday"].tolist() == pytest.approx([4 / 6 - 0.5, 5 / 6 - 0.5, -0.5])
    assert marks["day"].tolist() == pytest.approx([-0.5, 0.5, 1 / 30 - 0.5])
    assert marks["day_of_year"].tolist() == pytest.approx([-0.5, 0.5, 1 / 365 - 0.5])


def test_a_datamodule_serves_every_test_window_with_its_marks(hourly):
    module = WindowDataModule(load_ett(hourly, 96, 96), batch_size=512)
    batches = list(module.test_dataloader())
    assert sum(len(batch) for batch in batches) == 2785
    assert batches[-1].past.shape == (2785 % 512, 96, 7)
    assert batches[-1].past_covariates.shape == (2785 % 512, 96, 4)


def test_files_are_known_by_their_content(hourly, tmp_path):
    renamed = write_ett_like(tmp_path / "ETTh1.csv")
    assert ett_name(renamed) is None
    assert load_ett(renamed, 96, 96).source == "unknown"


BROKEN = {
    "column": (lambda t: t.drop(columns=["LULL", "OT"]), "no column LULL, OT; expected date, HUFL"),
    "step": (lambda t: t.iloc[::2], "rows are 120 minutes apart; expected 60"),
    "row": (lambda t: t.drop(index=100), r"rows 99 \(2016-07-05 03:00:00\) and 100 .* 120 minutes"),
    "twice": (lambda t: t.loc[[*range(7), *range(6, 14400)]], "0 minutes apart, the others 60"),
    "short": (lambda t: t.iloc[:9000], "truncated: 9000 rows, .* need 14400"),
    "none": (lambda t: t.iloc[:0], "rows are 0 minutes apart"),
    "text": (lambda t: t.assign(MUFL="x"), "MUFL has no finite number in row 0"),
    "date": (lambda t: t.assign(date="soon"), "row 0 has no readable date"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_files_are_named_with_their_fault(hourly, tmp_path, fault):
    breaking, message = BROKEN[fault]
    path = tmp_path / "broken.csv"
    breaking(pd.read_csv(hourly)).to_csv(path, index=False)
    with pytest.raises(ValueError, match=message) as error:
        load_ett(path, 96, 96)
    assert "broken.csv" in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_named(hourly, tmp_path, value):
    table = pd.read_csv(hourly)
    table.loc[20, "MULL"] = value
    table.to_csv(tmp_path / "hole.csv", index=False)
    with pytest.raises(ValueError, match="MULL has no finite number in row 20"):
        read_ett(tmp_path / "hole.csv")


def test_a_file_that_is_missing_or_empty_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="fetch_ett"):
        read_ett(tmp_path / "ETTh1.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ValueError, match=r"empty.csv is no readable csv"):
        read_ett(tmp_path / "empty.csv")


@pytest.fixture
def server(monkeypatch, hourly):
    """The network, as far as torch's download sees it."""
    answers = {"file": hourly.as_uri()}

    def urlopen(request, *_):
        if answers["file"] is None:
            raise URLError("no route to host")
        return urlopen_file(answers["file"])

    urlopen_file = urllib.request.urlopen
    monkeypatch.setattr("torch.hub.urlopen", urlopen)
    yield answers
    for path in (data_dir() / "ett").glob("*"):
        path.unlink()


def test_fetching_keeps_what_it_has_checked(server, hourly, monkeypatch):
    content = hashlib.sha256(hourly.read_bytes()).hexdigest()
    monkeypatch.setitem(ett.SHA256, "ETTh2", content)
    path = fetch_ett("ETTh2")
    assert path == data_dir() / "ett" / "ETTh2.csv"
    assert path.read_bytes() == hourly.read_bytes()
    server["file"] = None
    assert fetch_ett("ETTh2") == path  # nothing is downloaded twice


def test_another_content_and_no_network_leave_no_file_and_one_clear_message(server):
    with pytest.raises(ConnectionError, match=r"cannot fetch .*ETTh1.csv: invalid hash"):
        fetch_ett("ETTh1")
    server["file"] = None
    with pytest.raises(ConnectionError, match=r"no route to host.*download it elsewhere and put"):
        fetch_ett("ETTh1")
    assert not list((data_dir() / "ett").glob("*"))
    with pytest.raises(ConfigError, match="unknown ETT file 'ETTh3'; did you mean"):
        fetch_ett("ETTh3")
