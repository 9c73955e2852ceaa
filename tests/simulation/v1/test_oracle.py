"""What the truth scores: closed forms, the anchors of the specification, and ccnorm of 1."""

from __future__ import annotations

import numpy as np
import pytest

from utils.metrics import bits_per_spike, ccnorm, mean_rates
from utils.simulation import oracle_scores
from utils.simulation.v1 import movie_repeats
from utils.simulation.v1.trials import BACKIMAGE, FIXRSVP, STABILISED


@pytest.fixture(scope="module")
def scores(population):
    return oracle_scores(population)


def test_free_viewing_is_the_information_of_a_spike_about_the_rate(population, scores):
    session = population.sessions[0]
    for cell in (3, session.truth.fading_cell):
        counted = session.arrays["valid"][:, cell] & (session.arrays["stim_type"] == BACKIMAGE)
        rate = session.truth.rates[counted, cell].astype(float)
        some = rate[rate > 0]
        closed_form = np.sum(some * np.log2(some / rate.mean())) / rate.sum()
        assert scores["free_viewing"].iloc[cell] == pytest.approx(closed_form, rel=1e-6)


def test_counts_score_their_oracle(population, scores):
    session = population.sessions[0]
    free = session.arrays["valid"] & (session.arrays["stim_type"] == BACKIMAGE)[:, None]
    counts, rates = session.arrays["robs"], session.truth.rates
    scored = bits_per_spike(counts, rates, mean_rates(rates, free), free)
    assert np.median(scored / scores["free_viewing"]) == pytest.approx(1, abs=0.02)


def test_medians_are_the_anchors(scores):
    """Those of 3 sessions of 20 minutes are closer: this movie lasts less than a second."""
    median = scores.median()
    assert median["free_viewing"] == pytest.approx(1.43, abs=0.1)
    assert median["free_viewing_visual"] == pytest.approx(1.39, abs=0.1)
    assert median["fixrsvp"] == pytest.approx(0.96, abs=0.15)
    assert median["fixrsvp_psth"] == pytest.approx(0.21, abs=0.08)
    assert median["one_minus_alpha"] == pytest.approx(0.77, abs=0.08)


def test_who_knows_less_scores_less(scores):
    assert (scores["free_viewing_visual"] < scores["free_viewing"]).all()
    assert (scores["fixrsvp_psth"] < scores["fixrsvp"]).all()


def test_ccnorm_of_the_truth_is_1_without_eye_movements(population):
    session = population.sessions[0]
    counts = movie_repeats(session, session.arrays["robs"], STABILISED)
    for rates in (session.truth.rates, session.truth.visual_rates):
        truth = movie_repeats(session, rates, STABILISED)
        assert np.nanmedian(ccnorm(counts, truth)) == pytest.approx(1, abs=0.03)


def test_repeats_are_in_order_and_leave_out_what_is_not_valid(population):
    session = population.sessions[0]
    arrays = session.arrays
    repeats = movie_repeats(session, arrays["robs"], FIXRSVP)
    first = np.flatnonzero((arrays["stim_type"] == FIXRSVP) & (arrays["psth_inds"] == 0))
    assert len(repeats) == len(first)
    cell = (session.truth.fading_cell + 1) % 48
    for repeat, start in zip(repeats[:, :, cell], first):
        bins = slice(start, start + len(repeat))
        kept = arrays["valid"][bins, cell]
        np.testing.assert_array_equal(repeat[kept], arrays["robs"][bins, cell][kept])
        assert np.isnan(repeat[~kept]).all()
