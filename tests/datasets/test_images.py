"""Published images: read as their formats say, refused when broken, held out without a leak."""

from __future__ import annotations

import gzip
import struct
from functools import partial

import datasets
import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Image

from utils.config import ConfigError
from utils.datasets.examples import Examples, count_repeated, hold_out
from utils.datasets.examples_module import ExamplesDataModule
from utils.datasets.images import SETS, SIMULATED, fetch_images, read_images, write_images_like
from utils.models.elm.sequences import sequentialise
from utils.paths import data_dir

TRAIN_IMAGES, TRAIN_LABELS = SETS["mnist"].train


@pytest.fixture
def mnist(tmp_path):
    return write_images_like(tmp_path, n_train=60, n_test=20, size=12)


@pytest.mark.parametrize("name", SETS)
def test_simulated_images_come_in_the_published_format(name, tmp_path):
    folder = write_images_like(tmp_path, name, n_train=200, n_test=100, size=12)
    sets = read_images(name, folder)
    shape = (1, 12, 12) if SETS[name].is_idx else (3, 32, 32)
    for part, n_images in ((sets.train, 180), (sets.validation, 20), (sets.test, 100)):
        assert part.inputs.shape[1:] == shape
        assert part.inputs.dtype == np.uint8
        assert part.inputs.max() > 150
        assert len(part.labels) == pytest.approx(n_images, abs=15)
    assert len(sets.train.labels) + len(sets.validation.labels) == 200
    assert set(sets.test.labels) == set(range(len(sets.class_names)))
    assert sets.source == "simulated"
    (folder / SIMULATED).unlink()
    assert read_images(name, folder).source == name


def test_idx_files_are_read_as_their_format_says(tmp_path):
    """Written here byte by byte."""
    pixels = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)
    for images, labels in (SETS["mnist"].train, SETS["mnist"].test):
        content = struct.pack(">BBBBIII", 0, 0, 8, 3, 3, 2, 4) + pixels.tobytes()
        (tmp_path / f"{images}.gz").write_bytes(gzip.compress(content))
        (tmp_path / labels).write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 3) + bytes([7, 0, 9]))
    test = read_images("mnist", tmp_path, validation_fraction=0.5, seed=1).test
    assert np.array_equal(test.inputs[:, 0], pixels)
    assert test.labels.tolist() == [7, 0, 9]


@pytest.mark.parametrize(("name", "labels"), [("cifar10", [3]), ("cifar100", [19, 98])])
def test_cifar_files_are_read_as_their_format_says(tmp_path, name, labels):
    """Labels, then 1024 values of red, of green and of blue, row by row."""
    planes = np.random.default_rng(0).integers(0, 256, (3, 32, 32), np.uint8)
    others = [bytes([*labels[:-1], 0, *bytes([value]) * 3072]) for value in range(9)]
    for file in (*SETS[name].train, *SETS[name].test):
        (tmp_path / file).write_bytes(bytes([*labels, *planes.tobytes()]) + b"".join(others))
    test = read_images(name, tmp_path, validation_fraction=0.5).test
    assert test.labels.tolist() == [labels[-1]] + 9 * [0]
    assert np.array_equal(test.inputs[0], planes)
    assert (test.inputs[5] == 4).all()


def test_equal_images_are_held_out_together():
    rng = np.random.default_rng(0)
    distinct = rng.integers(0, 256, (40, 1, 3, 3), np.uint8)
    places = rng.integers(0, 40, 300)
    train, held = hold_out(Examples(distinct[places], places), 0.3, seed=0)
    assert len(train.labels) + len(held.labels) == 300
    assert not set(train.labels) & set(held.labels)
    assert count_repeated(train, held) == 0
    assert count_repeated(train, Examples(distinct, places)) == len(train.labels)
    for fraction in (0.0, 1.0):
        with pytest.raises(ValueError, match="leaves nothing to train or to validate on"):
            hold_out(train, fraction, seed=0)


def test_batches_are_sequences_from_0_to_1(mnist):
    sets = read_images("mnist", mnist)
    rows = partial(sequentialise, patch=(1, 12))
    inputs, labels = next(iter(ExamplesDataModule(sets, rows, batch_size=8).test_dataloader()))
    wanted = torch.from_numpy(sets.test.inputs[:8, 0]) / 255
    assert torch.equal(inputs, wanted)
    assert torch.equal(labels, torch.from_numpy(sets.test.labels[:8]))
    assert inputs.dtype == torch.float32


def test_batches_depend_on_seed_and_epoch_alone(mnist):
    sets = read_images("mnist", mnist)

    def passes(seed=0, workers=0):
        module = ExamplesDataModule(
            sets, partial(sequentialise, order="hilbert"), seed=seed, num_workers=workers
        )
        loader = module.train_dataloader()
        return [torch.cat([inputs for inputs, _ in loader]) for _ in range(2)]

    first, second = passes()
    assert len(first) == len(second) == len(sets.train.labels)
    assert not torch.equal(first, second)
    assert not torch.equal(first, passes(seed=1)[0])
    assert torch.equal(torch.stack(passes(workers=2)), torch.stack([first, second]))


BROKEN = {
    "missing": (lambda p: p.unlink(), FileNotFoundError, "no file .*fetch_images.*simulates them"),
    "empty": (lambda p: p.write_bytes(b""), ValueError, "begins with 0x00000000, expected 0x00000"),
    "header": (lambda p: p.write_bytes(p.read_bytes()[:7]), ValueError, "empty, truncated"),
    "short": (lambda p: p.write_bytes(p.read_bytes()[:-1]), ValueError, "announces .* and has"),
    "long": (lambda p: p.write_bytes(p.read_bytes() + b"0"), ValueError, "announces .* and has"),
    "huge": (
        lambda p: p.write_bytes(p.read_bytes()[:4] + b"\xff" * 12),
        ValueError,
        "announces 4294967295",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("file", [TRAIN_IMAGES, TRAIN_LABELS])
def test_broken_idx_files_are_named_with_their_fault(mnist, fault, file):
    breaking, error, message = BROKEN[fault]
    breaking(mnist / file)
    with pytest.raises(error, match=message) as raised:
        read_images("mnist", mnist)
    assert file in str(raised.value)


def test_other_faults_are_named(mnist, tmp_path):
    labels = mnist / TRAIN_LABELS
    good = labels.read_bytes()
    labels.write_bytes(good[:8] + b"\x0a" + good[9:])
    with pytest.raises(ValueError, match=f"{TRAIN_LABELS}: label 0 is 10, expected 0 to 9"):
        read_images("mnist", mnist)
    labels.write_bytes(struct.pack(">II", 0x0801, 5) + bytes(5))
    with pytest.raises(ValueError, match=r"has 60 images, .* 5 labels"):
        read_images("mnist", mnist)
    labels.unlink()
    packed = bytearray(gzip.compress(good))
    packed[15] ^= 0xFF
    (mnist / f"{TRAIN_LABELS}.gz").write_bytes(packed)
    with pytest.raises(ValueError, match=r"labels-idx1-ubyte.gz is damaged"):
        read_images("mnist", mnist)
    cifar = write_images_like(tmp_path / "cifar", "cifar10", 20, 20)
    (cifar / "data_batch_3.bin").write_bytes(b"\x80\x04pickled")
    with pytest.raises(ValueError, match=r"data_batch_3.bin has 9 bytes, .* the binary version"):
        read_images("cifar10", cifar)
    with pytest.raises(ConfigError, match=r"unknown images 'cifar'.*cifar10"):
        read_images("cifar", cifar)


@pytest.mark.parametrize("name", ["mnist", "cifar100"])
def test_downloads_are_kept_in_the_published_format(monkeypatch, name):
    wanted = SETS[name]
    shape = (6, 28, 28) if wanted.is_idx else (6, 32, 32, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    labels = {column: list(range(6)) for column in wanted.labels}
    features = Features(
        {wanted.image: Image()} | {column: ClassLabel(num_classes=100) for column in labels}
    )
    table = Dataset.from_dict({wanted.image: list(pixels)} | labels, features=features)
    asked = []

    def load_dataset(hub, config, cache_dir):
        asked.append(hub)
        return {"train": table, "test": table}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert fetch_images(name) == fetch_images(name) == data_dir() / "images" / name
    assert asked == [wanted.hub]  # once
    test = read_images(name, validation_fraction=0.5).test
    expected = pixels[:, None] if wanted.is_idx else pixels.transpose(0, 3, 1, 2)
    assert np.array_equal(test.inputs, expected)
    assert test.labels.tolist() == list(range(6))


def test_without_a_network_the_way_out_is_named(monkeypatch):
    def offline(*_, **__):
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(
        ConnectionError,
        match=r"cannot fetch uoft-cs/cifar10 .*data_batch_1.bin.* put them into .*images.cifar10",
    ):
        fetch_images("cifar10")
    assert not (data_dir() / "images" / "cifar10").exists()
