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
# # Connectivity of a session
#
# The connectivity model on a recording: what a cell's trace $y_i$ does next follows from its own
# past, and from what reaches it from the other cells and from behaviour,
#
# $$\frac{dy_i}{dt} = \phi_i(y_i) + \sum_j W_{ij}\,\psi(u_j) + I_i(t),$$
#
# where $u_j$ is the activity behind a trace, the decay of the indicator undone. Two things are
# harder than in a simulated network. Frames are 0.2 s apart and noisy, so inputs are looked for
# over a second. And nobody knows the true $W$. What can be asked is whether it forecasts, whether
# two halves of the recording agree on it, and whether anything between areas stands out of chance.
#
# `preprocessing="deconvolved"` takes the events of suite2p instead of dF/F; `session` is any
# recording. Blocks need two areas with `min_cells` cells each.

# %% tags=["parameters"]
session = "sample"
experiment = "forecasting"
overrides = []
preprocessing = None
min_cells = 5
n_permutations = 999
n_shifts = 49
rate = None
run_dir = ""
seed = 0

# %%
import matplotlib.pyplot as plt
import pandas as pd

from utils.batch import RunFolder
from utils.config import load_config
from utils.evaluation import compare, describe, fitted_baseline, leaderboard, score_forecasts
from utils.evaluation.connectivity_session import (
    area_blocks,
    areas_of,
    between,
    compare_with_truth,
    fit_halves,
    pair_table,
    permutation_test,
    shift_test,
)
from utils.load_meso_session import open_session
from utils.models.forecasting import ForecastingConfig, configured
from utils.plots import mark_simulated, use_style
from utils.plots.connectivity_session import (
    plot_area_blocks,
    plot_block_truth,
    plot_halves,
    plot_rollout,
)
from utils.preprocessing import preprocess
from utils.simulation import load_truth
from utils.windows import load_windows

use_style()
run = RunFolder(run_dir)
config = load_config(experiment, ["model=gnn", *overrides], ForecastingConfig)
recording = open_session(session, rate=rate)
session_file = preprocess(recording, preprocessing, progress=False)
data = load_windows(session_file, config.windows.context, config.windows.horizon)
simulated = data.source == "simulated"
areas = areas_of(data, min_cells)


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, simulated), name, caption)
    plt.show()


data

# %%
if areas is None:
    print(f"no two areas with {min_cells} cells: W is fitted, blocks between areas are left out")
else:
    print(pd.Series(areas, name="cells").value_counts().to_string())

# %% [markdown]
# ## Fit
#
# Both parts are solved in closed form: $\phi_i$ from memories of the cell itself, then $W$ by ridge
# on what the cell, left to itself, would have missed of the next second. Validation chooses the
# penalty, the decay of the indicator (0: none), and where $\psi$ bends (in deviations of the
# activity). A large penalty says that cells tell little of each other.

# %%
model = configured(config, seed=seed).fit(data)
if run.folder:
    model.save(run.folder / "model")
print(model.chosen)

# %% [markdown]
# ## Does it forecast?
#
# Rolled out over the test block, from the state at the end of each context; beside the last value,
# the means, and two linear models: AR16 hears the cell alone, the population ridge all cells.

# %%
names = ("persistence", "mean", "ar16", "population_ridge")
models = [model, *(fitted_baseline(name, data) for name in names)]
scores = {one.name: score_forecasts(one, data, seed=seed) for one in models}
board = leaderboard(scores.values())
run.save_table(board, "leaderboard", f"Rollouts and baselines, {data.n_neurons} cells, test.")
run.save_metrics({row["model"]: row.dropna().to_dict() for _, row in board.iterrows()})
columns = [f"over_{name}_skill" for name in names]
board[["model", "mse", "r2", *columns, "verdict"]].round(4)

# %% tags=["nbval-check-output"]
print(f"{data.source} data, {data.n_neurons} cells, n = {len(data.test)} test windows")

# %%
for other in ("ar16", "population_ridge"):
    print(f"over {other}:", compare(scores["gnn"], scores[other]))
print(describe(scores["gnn"]))

# %%
frames = pd.concat([one.to_frame() for one in scores.values()], ignore_index=True)
run.save_table(frames, "scores", "One row per model, frame ahead and baseline.")
show(
    plot_rollout(frames, cells=data.n_neurons, windows=len(data.test)),
    "rollout",
    f"R2 of rollouts by the time ahead, {data.n_neurons} cells, n = {len(data.test)} windows.",
)

# %% [markdown]
# ## Is W stable?
#
# $W$ of the first and of the second half of the training block. Single weights of a noisy recording
# agree little; their means over many pairs of cells can agree well.

# %%
halves = fit_halves(model, data)
agreement = halves.agreement(areas, min_cells)
run.save_metrics({"halves": agreement})
blocks = None
if areas is not None:
    blocks = [between(area_blocks(half, areas, min_cells)) for half in halves]
show(plot_halves(halves, blocks), "halves", "W of two halves of the training block.")
agreement

# %% [markdown]
# ## From area to area
#
# Mean weight from the cells of one area to those of another, against two kinds of chance: areas
# dealt out to the cells anew, and inputs of another time. A star is a p below .05 corrected over
# all pairs of areas, a dot one without correction.

# %%
if areas is not None:
    tests = {
        "other labels": permutation_test(
            model.connectivity, areas, n_permutations, min_cells=min_cells, seed=seed
        ),
        "another time": shift_test(
            model, data, areas, n_shifts, min_cells=min_cells, seed=seed, progress=False
        ),
    }
    table = pd.concat(tests, names=["chance"]).reset_index("chance")
    run.save_table(table, "blocks", "Mean weights between areas, and two tests of each.")
    show(plot_area_blocks(tests), "blocks", "Mean weights between areas.")
    other = table[table["to"] != table["from"]]
    print(other.sort_values("p_corrected").groupby("chance").head(4).round(4).to_string())

# %% [markdown]
# ## Is it true?
#
# A simulated session knows which areas drive which. `auroc` is the chance that a coupled pair has
# a larger block, whatever its sign, than one that is not. Areas that were not recorded drive those
# that were: a star on a pair that is not coupled may be a common source, or a way around.

# %%
if simulated and areas is not None:
    truth = load_truth(recording.session_path)
    found = area_blocks(model.connectivity, areas, min_cells)
    recovery = compare_with_truth(found, truth, tests["another time"])
    run.save_metrics({"truth": recovery})
    print(pd.Series(recovery).round(3).to_string())
    show(
        plot_block_truth(pair_table(found, truth)),
        "truth",
        "Blocks that were found over the coupling of the simulation.",
    )

# %% [markdown]
# ## What a weight is not
#
# - **No synapse.** $W_{ij}$ says that $j$ foretells $i$. Most inputs of a cortical cell come from
#   cells that nobody recorded; one source of two recorded cells gives them weights on each other.
# - **The wrong model gives wrong weights, with confidence.** Where activity is strongly correlated,
#   fits of connectivity put weights between cells that are not connected, even when all cells are
#   recorded without noise (Das and Fiete 2020). More data does not help: the bias stays.
# - **A few cells cannot show how all of them do it.** Fitted to a part of a network, a model may
#   forecast well by another mechanism than that of the whole network, with attractors that the
#   network does not have (Qian et al. 2024).
# - **Slow and indirect.** A frame is longer than many synaptic delays; what goes from A over B to C
#   within a second looks like A to C.
#
# So a block is a hypothesis about areas: to be believed in when it is there in both halves, in
# another session, and after an experiment that changes one area.
