"""What the truth of a simulated V1 recording scores: the ceiling of every model of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from utils.metrics import bits_per_spike, mean_rates, one_minus_alpha, oracle_bits_per_spike
from utils.simulation.v1.recording import SimulatedV1, SimulatedV1Session
from utils.simulation.v1.trials import BACKIMAGE, FIXRSVP


def oracle_scores(simulated: SimulatedV1) -> pd.DataFrame:
    """Scores of the true rates, one row per session and cell.

    ======================  ======================================================================
    free_viewing            bits per spike during free viewing
    free_viewing_visual     the same of rates that do not know of the saccades
    fixrsvp                 bits per spike in the repeated movie
    fixrsvp_psth            the same of the mean over the other repeats: the gaze is not known
    one_minus_alpha         share of the rate's variance in the movie that is not in that mean
    ======================  ======================================================================
    """
    tables = {session.metadata["name"]: _scores(session) for session in simulated.sessions}
    return pd.concat(tables, names=["session", "cell"])


def movie_repeats(
    session: SimulatedV1Session, values: NDArray[np.floating], kind: int
) -> NDArray[np.float64]:
    """Values (T, N) of a movie as (repeat, time, N), NaN where a cell's bin is not valid."""
    shown = (session.arrays["stim_type"] == kind) & (session.arrays["psth_inds"] >= 0)
    valid = np.where(session.arrays["valid"], values, np.nan)[shown]
    n_places = session.arrays["psth_inds"].max() + 1
    return valid.reshape(-1, n_places, valid.shape[1])


def _scores(session: SimulatedV1Session) -> pd.DataFrame:
    rates, visual = session.truth.rates, session.truth.visual_rates
    free = session.arrays["valid"] & (session.arrays["stim_type"] == BACKIMAGE)[:, None]
    mean = mean_rates(rates, free)
    movie = movie_repeats(session, rates, FIXRSVP)
    others = np.nansum(movie, axis=0) - np.nan_to_num(movie)
    psth = others / ((~np.isnan(movie)).sum(axis=0) - ~np.isnan(movie))
    movie_bins, psth = (a.reshape(-1, a.shape[2]) for a in (movie, psth))
    return pd.DataFrame(
        {
            "free_viewing": oracle_bits_per_spike(rates, free),
            "free_viewing_visual": bits_per_spike(
                rates, visual * mean / mean_rates(visual, free), mean, free
            ),
            "fixrsvp": oracle_bits_per_spike(movie_bins),
            "fixrsvp_psth": bits_per_spike(movie_bins, psth, mean_rates(movie_bins)),
            "one_minus_alpha": one_minus_alpha(movie, poisson=False, min_repeats=2),
        }
    )
