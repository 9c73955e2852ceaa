"""Pathfinder: every answer is found again by tracing the path, and by nothing simpler."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from utils.datasets.long_range import draw_pathfinder

EIGHT = np.ones((3, 3))


@pytest.fixture(scope="module")
def sets():
    return draw_pathfinder(300, 50, 50, seed=1)


def dots(image: np.ndarray) -> np.ndarray:
    """(2, row and column) centres of the squares of 3 x 3 pixels."""
    return np.argwhere(ndimage.minimum_filter(image, 3, mode="constant") > 0)


def traced(image: np.ndarray) -> int:
    """1 where one can go from dot to dot in steps that leave out at most two pixels."""
    (r, c), (s, d) = dots(image)
    lines = image > 0
    for row, column in ((r, c), (s, d)):  # dots are wider than lines
        lines[row - 1 : row + 2, column - 1 : column + 2] = False
        lines[row, column] = True
    parts, _ = ndimage.label(ndimage.binary_dilation(lines, EIGHT), EIGHT)
    return int(parts[r, c] == parts[s, d])


def test_tracing_finds_every_answer(sets):
    for part in (sets.train, sets.validation, sets.test):
        found = [traced(image[0]) for image in part.inputs]
        assert found == part.labels.tolist()
        assert part.labels.mean() == 0.5


def test_tracing_finds_the_answers_of_large_images():
    train = draw_pathfinder(20, 2, 2, size=128, n_distractors=12).train
    assert train.inputs.shape == (20, 1, 128, 128)
    assert [traced(image[0]) for image in train.inputs] == train.labels.tolist()


def test_a_path_that_is_cut_in_two_is_not_traced(sets):
    """The tracing can fail: a free column between the dots of nearly straight paths."""
    n_cut = 0
    for image in sets.train.inputs[sets.train.labels == 1, 0]:
        left, right = sorted(dots(image)[:, 1])
        if right - left >= 12:
            middle = (left + right) // 2
            cut = image.copy()
            cut[:, middle - 2 : middle + 3] = 0
            assert not traced(cut)
            n_cut += 1
    assert n_cut > 30


def test_pictures_of_both_classes_have_as_many_pixels_and_dots_as_far_apart(sets):
    images, labels = sets.train.inputs[:, 0], sets.train.labels
    away = [np.linalg.norm(np.subtract(*dots(image))) for image in images]
    unusual = np.abs(away - np.median(away))
    for statistic in (away, unusual, (images > 0).sum(axis=(1, 2))):
        assert 0.4 < roc_auc_score(labels, statistic) < 0.6


def test_images_differ_and_depend_on_the_seed_alone(sets):
    parts = (sets.train, sets.validation, sets.test)
    images = {image.tobytes() for part in parts for image in part.inputs}
    assert len(images) == 400
    same, other = (draw_pathfinder(300, 50, 50, seed=seed).test.inputs for seed in (1, 2))
    assert np.array_equal(same, sets.test.inputs)
    assert not np.array_equal(other, sets.test.inputs)
    with pytest.raises(ValueError, match="16 x 16 pixels have no room"):
        draw_pathfinder(1, 1, 1, size=16)
