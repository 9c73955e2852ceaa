# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Population structure
#
# How many independent things does the population do, who does them together, and how much of it
# is the state of the animal?
#
# Every number stands beside its chance level: the same number after each cell was rotated in time
# by an amount of its own. That keeps the slow time course of every cell and destroys only what
# cells share.

# %% tags=["parameters"]
session = "small"
experiment = "preprocessing/default"
overrides = []
rate = None
run_dir = ""
seed = 0
max_cells = 600
bin_s = 1.0
n_shifts = 20

# %%
import matplotlib.pyplot as plt
import numpy as np

from utils.batch import RunFolder
from utils.load_meso_session import open_session
from utils.metrics import population
from utils.plots import area_order, mark_simulated, use_style
from utils.plots.population import (
    plot_correlation_by_area,
    plot_correlation_by_distance,
    plot_sorted_raster,
    plot_spectrum,
    plot_state_relation,
)
from utils.preprocessing import preprocess
from utils.sessions.hdf5 import SessionFile
from utils.signals import bin_mean, bin_starts

use_style()
run = RunFolder(run_dir)
rng = np.random.default_rng(seed)
recording = open_session(session, rate=rate)
file = SessionFile(preprocess(recording, experiment, overrides, progress=False))


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, file.simulated), name, caption)
    plt.show()


file

# %% [markdown]
# ## The cells, sorted
#
# Rows that are next to each other have similar time courses (clusters in the space of the leading
# principal components, put in line). The order knows nothing of areas: if the colours on the left
# sort themselves, cells of an area act together.

# %%
chosen = np.sort(rng.choice(file.n_neurons, min(file.n_neurons, max_cells), replace=False))
activity = np.array(file.activity[:, chosen])  # (time, neuron)
neurons = file.neurons.iloc[chosen].reset_index(drop=True)
areas = neurons["region"].astype(str).to_numpy()
frames, kept = population.complete(activity)
order = population.order_by_similarity(activity[frames][:, kept], seed=seed)
order = np.flatnonzero(kept)[order]
state_names = [n for n in ("pupil_diameter", "wheel_speed") if n in file.covariate_names]
behaviour = {
    f"{name.replace('_', ' ')} (z)": file.covariates[:, file.covariate_names.index(name)]
    for name in state_names
}
show(
    plot_sorted_raster(file.timestamps, activity, order, areas, behaviour, "Sorted by similarity"),
    "sorted_raster",
    f"Activity of {len(order)} cells, sorted by similarity; left: area of each cell.",
)

# %% [markdown]
# ## Dimensions
#
# Single frames of single cells are mostly noise, so activity is first averaged over bins. The
# effective rank is the number of axes that hold 90 or 99 % of the variance. Where the recorded
# spectrum lies above the shifted one, axes hold more than independent cells would.

# %%
n_bin = max(round(bin_s * file.frame_rate), 1)
bins = bin_starts(file.timestamps[frames], n_bin)  # none reaches over a gap
scores = population.zscore(bin_mean(activity[frames][:, kept], bins, n_bin))  # (bin, neuron)
min_shift = len(scores) // 20  # bins
spectrum = population.pca_spectrum(scores)
chance = np.array(
    [population.pca_spectrum(population.circular_shift(scores, rng, min_shift)) for _ in range(5)]
)
show(
    plot_spectrum(spectrum, chance, len(scores)),
    "spectrum",
    "PCA spectrum and effective rank, beside activity with each cell shifted in time.",
)

# %% tags=["nbval-check-output"]
rank_90, rank_99 = (population.effective_rank(spectrum, share) for share in (0.9, 0.99))
chance_90 = population.effective_rank(chance.mean(axis=0), 0.9)
above = int(np.argmin(np.append(spectrum > chance.max(axis=0), False)))
print(f"n = {scores.shape[1]} cells, {len(scores)} bins of {n_bin} frames")
print(f"effective rank: {rank_90} axes hold 90 %, {rank_99} hold 99 % of the variance")
print(f"by chance {chance_90} axes hold 90 %")
print(f"participation ratio {population.participation_ratio(spectrum):.1f}")
print(f"{above} leading axes above chance, with {spectrum[:above].sum():.0%} of the variance")

# %% [markdown]
# ## Who acts together
#
# Correlation of pairs by the distance between the cells, and by their areas. Cells nearer than
# 20 µm are left out: light from one may be counted for the other.

# %%
positions = neurons.loc[kept, ["ml", "ap"]].to_numpy(float)
edges = np.array([20, 100, 200, 400, 700, 1000, 1500, 2000, 3000, 4000, 6000.0])
shifts = {"n_shifts": n_shifts, "min_shift": min_shift, "seed": seed}
groups = population.distance_groups(positions, edges)
by_distance = population.grouped_correlation(scores, groups, len(edges) - 1, **shifts)
by_distance = by_distance.assign(low=edges[:-1], high=edges[1:])
show(
    plot_correlation_by_distance(by_distance),
    "correlation_by_distance",
    "Mean correlation of pairs of cells by their distance; grey: range of chance.",
)

# %%
names = area_order(areas[kept])
groups = population.area_groups(areas[kept], names)
by_area = population.grouped_correlation(scores, groups, len(names) ** 2, **shifts)
show(
    plot_correlation_by_area(by_area, names),
    "correlation_by_area",
    "Mean correlation of pairs of cells by their areas.",
)

# %% tags=["nbval-check-output"]
between = np.where(groups == population.EXCLUDED, groups, groups % (len(names) + 1) > 0)
compared = population.grouped_correlation(scores, between, 2, **shifts)
for where, row in zip(("within", "between"), compared.itertuples()):
    chance_range = f", by chance {row.chance_low:.3f} to {row.chance_high:.3f}"
    print(f"mean correlation {where} areas: n = {row.n_pairs:,} pairs", end="")
    print(f", {row.correlation:.3f}{chance_range}" if row.n_pairs else "")

# %% [markdown]
# ## State of the animal
#
# Arousal (the pupil; without it the wheel) drives many cells at once. If the first principal
# component follows it, much of the shared structure above is state and not computation.

# %%
if state_names:
    state = file.covariates[:, file.covariate_names.index(state_names[0])][frames]
    state = bin_mean(state, bins, n_bin)
    left, strength, _ = np.linalg.svd(scores - scores.mean(axis=0), full_matrices=False)
    component = left[:, 0] * strength[0]
    component *= np.sign(np.corrcoef(component, state)[0, 1])  # its sign is arbitrary
    per_cell = population.correlation_with(scores, state)
    per_chance = population.correlation_with(
        population.circular_shift(scores, rng, min_shift), state
    )
    show(
        plot_state_relation(
            bin_mean(file.timestamps[frames], bins, n_bin),
            state,
            state_names[0].replace("_", " "),
            component,
            per_cell,
            per_chance,
        ),
        "state",
        "First principal component and arousal; correlation of each cell with arousal.",
    )

# %% tags=["nbval-check-output"]
summary = {"cells": int(kept.sum()), "effective_rank_90": rank_90, "effective_rank_99": rank_99}
if state_names:
    follows = float(np.corrcoef(component, state)[0, 1])
    beyond = np.abs(per_cell) > np.nanpercentile(np.abs(per_chance), 95)
    summary |= {"r_first_component": follows, "share_of_cells_with_state": float(beyond.mean())}
    print(f"first component and {state_names[0]}: r = {follows:.2f}")
    print(f"{beyond.mean():.0%} of cells follow it more than 95 % of shifted cells do")
else:
    print("no pupil and no wheel in this recording: nothing to compare with")

# %%
run.save_metrics(summary)
run.save_table(by_distance, "correlation_by_distance", "Correlation by distance, with chance.")
