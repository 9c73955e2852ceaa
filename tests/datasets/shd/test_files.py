"""SHD files: what is read and refused, and the download."""

from __future__ import annotations

import gzip
import hashlib
import urllib.request
from urllib.error import URLError

import h5py
import numpy as np
import pytest

from utils.datasets.shd import (
    fetch_shd,
    files,
    is_published_shd,
    read_shd,
    shd_or_simulated,
    write_shd_like,
)
from utils.datasets.shd.files import LABELS, TEST_FILE, TIMES, TRAIN_FILE, UNITS
from utils.paths import data_dir

RECORDS = [([0.01, 0.5], [3, 699]), ([], []), ([0.2, 0.2, 1.3], [0, 0, 5])]


def write(path, records=RECORDS, labels=(0, 19, 7), times=np.float16, units=np.uint16):
    """A file in the layout of SHD."""
    with h5py.File(path, "w") as file:
        file[LABELS] = np.asarray(labels)
        for name, dtype, lists in zip((TIMES, UNITS), (times, units), zip(*records)):
            ragged = file.create_dataset(name, len(lists), h5py.vlen_dtype(np.dtype(dtype)))
            for row, values in enumerate(lists):
                ragged[row] = np.asarray(values, dtype)
    return path


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    return write_shd_like(tmp_path_factory.mktemp("shd"), n_train=60, n_test=40)


def test_records_are_kept_one_after_the_other(tmp_path):
    digits = read_shd(write(tmp_path / "own.h5"))
    assert digits.offsets.tolist() == [0, 2, 2, 5]
    assert digits.labels.tolist() == [0, 19, 7]
    assert digits.times.dtype == np.float16  # as stored: published files are read without growing
    assert digits.units.dtype == np.uint16
    assert [len(digits.record(i)[0]) for i in range(3)] == [2, 0, 3]
    times, units = digits.record(2)
    assert np.allclose(times, [0.2, 0.2, 1.3], atol=1e-3)
    assert units.tolist() == [0, 0, 5]
    assert digits.source == "unknown"


def test_more_records_than_are_read_at_once_stay_in_order(tmp_path, monkeypatch):
    path = write(tmp_path / "own.h5", RECORDS * 3, [0, 1, 2] * 3)
    whole = read_shd(path)
    monkeypatch.setattr(files, "RECORDS_AT_ONCE", 2)
    pieces = read_shd(path)
    assert (pieces.times == whole.times).all()
    assert (pieces.units == whole.units).all()
    assert (pieces.offsets == whole.offsets).all()


def test_times_of_any_precision_are_read(tmp_path):
    path = write(tmp_path / "own.h5", times=np.float64, units=np.int64)
    digits = read_shd(path)
    assert digits.times.tolist() == [0.01, 0.5, 0.2, 0.2, 1.3]
    assert digits.units.dtype == np.uint16


@pytest.mark.reference
def test_the_reference_file_is_read(reference):
    digits = read_shd(reference / "elm" / "shd_synth.h5")
    assert (len(digits), len(digits.times)) == (24, 1569)
    assert digits.source == "unknown"


CONTENTS = {
    "uneven": (dict(records=[([0.1], [1, 2])], labels=[0]), r"record 0 has 1 .* and 2 in spikes/u"),
    "channel": (dict(records=[([], []), ([0.1], [700])], labels=[0, 1]), r"units of record 1.*700"),
    "negative channel": (
        dict(records=[([0.1], [-1])], labels=[0], units=np.int32),
        r"spikes/units of record 0 has -1; expected 0 to 699",
    ),
    "label": (dict(labels=(0, 20, 1)), r"labels of record 1 has 20; expected 0 to 19"),
    "nan": (dict(records=[([0.1, np.nan], [1, 1])], labels=[0]), r"times of record 0 has nan"),
    "infinite": (dict(records=[([np.inf], [1])], labels=[0]), r"times of record 0 has inf"),
    "early": (dict(records=[([-0.1], [1])], labels=[0]), r"record 0 has -0.* from the start of"),
    "labels": (dict(labels=[0, 1]), r"one entry per record, found .*times': 3.*labels': 2"),
    "none": (dict(records=[([], [])], labels=[0]), None),  # silence is no fault
}


@pytest.mark.parametrize("fault", CONTENTS)
def test_wrong_contents_are_named_with_file_and_record(tmp_path, fault):
    contents, message = CONTENTS[fault]
    path = write(tmp_path / "odd.h5", **contents)
    if message is None:
        assert len(read_shd(path).times) == 0
        return
    with pytest.raises(ValueError, match=message) as error:
        read_shd(path)
    assert "odd.h5" in str(error.value)


def rewrite(name, values):
    """Replace a data set of a file."""

    def change(path):
        with h5py.File(path, "a") as file:
            del file[name]
            if values is not None:
                file[name] = values

    return change


LAYOUTS = {
    "no times": (
        rewrite(TIMES, None),
        "no data set spikes/times; expected .* found labels, spikes",
    ),
    "a matrix": (rewrite(TIMES, np.zeros((3, 5))), "times must hold a list of numbers .* float64"),
    "texts": (rewrite(UNITS, ["a", "b", "c"]), "units must hold a list of integers per record"),
    "real labels": (rewrite(LABELS, [0.0, 1.0, 2.0]), "labels must hold integers per record"),
    "a table of labels": (rewrite(LABELS, [[0], [1], [2]]), r"labels must hold .* \(3, 1\)"),
}


@pytest.mark.parametrize("fault", LAYOUTS)
def test_another_layout_is_named(tmp_path, fault):
    change, message = LAYOUTS[fault]
    path = write(tmp_path / "odd.h5")
    change(path)
    with pytest.raises(ValueError, match=message) as error:
        read_shd(path)
    assert "odd.h5" in str(error.value)


def test_integer_times_are_refused(tmp_path):
    path = write(tmp_path / "odd.h5", [([1], [1])], [0], times=np.int32)
    with pytest.raises(ValueError, match="list of numbers with a fraction per record"):
        read_shd(path)


def test_a_file_without_records_is_refused(tmp_path):
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file[LABELS] = np.zeros(0, np.uint16)
        file.create_dataset(TIMES, 0, h5py.vlen_dtype(np.float16))
        file.create_dataset(UNITS, 0, h5py.vlen_dtype(np.uint16))
    with pytest.raises(ValueError, match="one entry per record, found"):
        read_shd(tmp_path / "none.h5")


def test_a_missing_truncated_or_foreign_file_says_what_it_is(simulated, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"fetch_shd\(\) downloads SHD, write_shd_like"):
        read_shd(tmp_path / TRAIN_FILE)
    content = (simulated / TRAIN_FILE).read_bytes()
    for name, kept in (("short.h5", content[: len(content) // 2]), ("other.h5", b"no HDF5")):
        (tmp_path / name).write_bytes(kept)
        with pytest.raises(ValueError, match=rf"{name} is no HDF5 file, or truncated"):
            read_shd(tmp_path / name)


def test_simulated_files_say_so_and_hold_every_class_equally_often(simulated):
    for name, each in ((TRAIN_FILE, 3), (TEST_FILE, 2)):
        digits = read_shd(simulated / name)
        assert digits.source == "simulated"
        assert np.bincount(digits.labels).tolist() == [each] * 20
        assert (np.diff(digits.offsets) > 100).all()
        assert digits.times.max() < 1.4


def test_the_simulation_depends_on_its_seed_alone(simulated, tmp_path):
    again = read_shd(write_shd_like(tmp_path / "again", n_train=60, n_test=40) / TEST_FILE)
    other = read_shd(write_shd_like(tmp_path / "other", n_train=60, n_test=40, seed=1) / TEST_FILE)
    first = read_shd(simulated / TEST_FILE)
    assert np.array_equal(again.times, first.times)
    assert not np.array_equal(other.times, first.times)


def test_simulated_words_of_a_digit_differ_in_order_not_in_counts(tmp_path):
    digits = read_shd(write_shd_like(tmp_path, n_train=2000, n_test=20) / TRAIN_FILE)
    counts, early = np.zeros((20, 700)), np.zeros((20, 700))
    for record, label in enumerate(digits.labels):
        times, units = digits.record(record)
        np.add.at(counts[label], units, 1)
        np.add.at(early[label], units[times < 0.35], 1)
    smooth = np.ones(35) / 35
    counts, early = (np.apply_along_axis(np.convolve, 1, x, smooth) for x in (counts, early))
    same = [np.corrcoef(counts[d], counts[d + 10])[0, 1] for d in range(10)]
    first = [np.corrcoef(early[d], early[d + 10])[0, 1] for d in range(10)]
    assert min(same) > 0.98
    assert max(first) < 0.95


@pytest.fixture
def server(monkeypatch, simulated, tmp_path):
    """The network, as far as torch's download sees it, with the sums of what it serves."""
    for name in (TRAIN_FILE, TEST_FILE):
        content = (simulated / name).read_bytes()
        packed = gzip.compress(content)
        (tmp_path / f"{name}.gz").write_bytes(packed)
        monkeypatch.setitem(files.MD5, name, hashlib.md5(content).hexdigest())
        monkeypatch.setitem(files.MD5, f"{name}.gz", hashlib.md5(packed).hexdigest())
    state = {"reachable": True, "asked": 0, "folder": tmp_path}
    open_file = urllib.request.urlopen

    def urlopen(request, *_):
        state["asked"] += 1
        if not state["reachable"]:
            raise URLError("no route to host")
        return open_file((tmp_path / request.full_url.rsplit("/")[-1]).as_uri())

    monkeypatch.setattr("torch.hub.urlopen", urlopen)
    yield state
    for path in (data_dir() / "shd").glob("*"):
        path.unlink()


def test_fetching_unpacks_what_it_has_checked_once(server, simulated):
    folder = fetch_shd()
    assert folder == data_dir() / "shd"
    assert sorted(path.name for path in folder.iterdir()) == [TEST_FILE, TRAIN_FILE]
    assert (folder / TRAIN_FILE).read_bytes() == (simulated / TRAIN_FILE).read_bytes()
    assert is_published_shd(folder / TEST_FILE)
    assert server["asked"] == 2
    server["reachable"] = False
    assert fetch_shd() == folder  # nothing is downloaded twice


def test_files_that_were_downloaded_elsewhere_are_checked_and_unpacked(server):
    server["reachable"] = False
    folder = data_dir() / "shd"
    folder.mkdir(exist_ok=True)
    for name in (TRAIN_FILE, TEST_FILE):
        (folder / f"{name}.gz").write_bytes((server["folder"] / f"{name}.gz").read_bytes())
    fetch_shd()
    assert sorted(path.name for path in folder.iterdir()) == [TEST_FILE, TRAIN_FILE]


def test_no_network_gives_one_clear_message_and_leaves_nothing(server):
    server["reachable"] = False
    message = r"cannot fetch https://zenkelab.org/datasets/shd_train.h5.gz: .*no route to host.*"
    with pytest.raises(ConnectionError, match=f"{message}; download .* put them into .*shd"):
        fetch_shd()
    assert list((data_dir() / "shd").iterdir()) == []


def test_another_content_is_refused(server, monkeypatch):
    monkeypatch.setitem(files.MD5, f"{TEST_FILE}.gz", "0" * 32)
    with pytest.raises(ConnectionError, match=r"shd_test.* has the md5 .*, the published file 000"):
        fetch_shd()
    assert [path.name for path in (data_dir() / "shd").iterdir()] == [TRAIN_FILE]
    own = data_dir() / "shd" / f"{TEST_FILE}.gz"
    own.write_bytes(b"what a user put there")
    with pytest.raises(ConnectionError, match="has the md5"):
        fetch_shd()
    assert own.is_file()  # is left for the user to look at


def test_what_was_downloaded_is_preferred_to_the_simulation(server):
    folder = shd_or_simulated()
    assert folder == data_dir() / "shd_simulated"
    assert read_shd(folder / TEST_FILE).source == "simulated"
    assert sorted(path.name for path in folder.iterdir()) == [TEST_FILE, TRAIN_FILE]
    fetch_shd()
    assert shd_or_simulated() == data_dir() / "shd"


def test_other_files_are_not_taken_for_published_ones(simulated):
    assert not is_published_shd(simulated / TRAIN_FILE)
