"""What each head can learn: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from utils.datasets.vimh import (
    Parameter,
    VIMHSplit,
    generate_vimh,
    learnable_heads,
    make_records,
    quantise,
)

PARAMETERS = tuple(Parameter(name, 0.0, 0.25, 1.0) for name in ("shown", "loud", "hidden", "fixed"))


def made(n=400, seed=0):
    """``shown`` brightens a corner, ``loud`` moves the scale, ``hidden`` does nothing at all."""
    rng = np.random.default_rng(seed)
    values = rng.random((n, 4))
    values[:, 3] = 0.5
    images = rng.integers(0, 40, (n, 1, 6, 6)).astype(np.uint8)
    images[:, 0, :2, :2] += (200 * values[:, 0]).astype(np.uint8)[:, None, None]
    level = 20 * values[:, 1]
    scale = np.stack([level - 60, level], axis=1)
    return VIMHSplit(make_records(images, quantise(values, 0.0, 1.0), scale), PARAMETERS)


@pytest.fixture(scope="module")
def report():
    return learnable_heads(made()).set_index(["parameter", "inputs"])


@pytest.mark.parametrize(
    ("parameter", "image", "with_scale"),
    [
        ("shown", True, True),
        ("loud", False, True),
        ("hidden", False, False),
        ("fixed", False, False),
    ],
)
def test_a_head_is_identifiable_where_its_inputs_hold_it(report, parameter, image, with_scale):
    found = report.loc[parameter, "identifiable"]
    assert (found["image"], found["image + scale"]) == (image, with_scale)


def test_the_report_gives_its_numbers(report):
    row = report.loc["shown", "image"]
    assert (row.n, row.n_classes, row.classes_seen) == (400, 5, 5)
    assert row.majority < 0.4
    assert max(row.ridge, row.nearest_neighbour) > 0.8
    assert "standard errors" in row.because
    constant = report.loc["fixed", "image"]
    assert (constant.majority, constant.classes_seen) == (1.0, 1)
    assert constant.because == "its label is constant"


def test_labels_of_chance_are_seldom_called_identifiable():
    reports = [learnable_heads(made(n=100, seed=seed)) for seed in range(20)]
    hidden = [r.loc[r.parameter == "hidden", "identifiable"] for r in reports]
    assert not np.concatenate(hidden).any()


def test_a_few_samples_make_no_statement():
    report = learnable_heads(made(n=20))
    assert not report.identifiable.any()
    assert set(report.because) == {"fewer than 40 samples", "its label is constant"}


@pytest.mark.parametrize("n", [0, 1])
def test_next_to_no_samples_are_refused(n):
    with pytest.raises(ValueError, match=f"at least 2 samples, found {n}"):
        learnable_heads(made(n=n))


def test_a_large_set_is_sampled():
    assert set(learnable_heads(made(), most=60).n) == {60}


def test_velocity_of_the_sawtooth_is_in_the_scale_and_not_in_the_image():
    report = learnable_heads(generate_vimh("simple_saw", 640, seed=4))
    report = report.set_index(["parameter", "inputs"])
    assert not report.loc[("note_velocity", "image"), "identifiable"]
    assert report.loc[("note_velocity", "image + scale"), "identifiable"]
    assert report.loc[("note_velocity", "image + scale"), "ridge"] > 0.9
    assert report.loc[("log10_decay_time", "image"), "nearest_neighbour"] > 0.9
