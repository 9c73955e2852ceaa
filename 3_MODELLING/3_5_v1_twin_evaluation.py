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

# %% [markdown]
# # What has the twin learnt?
#
# A good score can have wrong reasons. Here a trained twin is shown what an experimenter would show
# to the animal: repeated movies, noise, gratings, and it is asked what saccades do to its rates.
# Where the truth is known, all is held against it.
#
# `model` is the folder of a saved twin (notebook 3_5_v1_twin leaves one in its run); without it a
# small one is trained for some seconds, on **simulated** recordings.

# %% tags=["parameters"]
model = ""
n_shown = 5
experiment = "v1_twin/training/tiny"
overrides = []
run_dir = ""
seed = 0

# %%
import matplotlib.pyplot as plt
import numpy as np

from utils.batch import RunFolder
from utils.config import load_config
from utils.datasets.v1 import V1DataModule, describe_recordings, simulated_v1
from utils.evaluation import evaluate_twin
from utils.evaluation.v1_twin import predict_rates, recovery_summary
from utils.evaluation.v1_twin.gratings import grating_tuning
from utils.evaluation.v1_twin.most_exciting import most_exciting_inputs
from utils.evaluation.v1_twin.predict import twin_predict
from utils.evaluation.v1_twin.reverse_correlation import receptive_fields
from utils.models.v1_twin import TwinExperiment, fit_twin, load_model
from utils.plots import mark_simulated, use_style
from utils.plots.v1_responses import plot_tuning
from utils.plots.v1_stimuli import plot_most_exciting, plot_strips
from utils.splits import TEST, TRAIN, VALIDATION

use_style()
run = RunFolder(run_dir)
config = load_config(experiment, [f"trainer.seed={seed}", *overrides], TwinExperiment)
if model:
    twin = load_model(model)
    sets = V1DataModule(twin.trained_on.datasets, statistics=twin.trained_on.statistics)
else:
    files = simulated_v1(n_sessions=1, n_cells=6, minutes=2.0, seed=seed)
    configs = describe_recordings(files, held_out_types=["fixrsvp", "stabilised"])
    sets = V1DataModule(configs, **config.loading)
    twin = config.build_model(configs)
    fit_twin(twin, sets, config)
simulated = any(part.recording.metadata["simulated"] for part in sets.datasets.values())


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, simulated), name, caption)
    plt.show()


[part.recording for part in sets.datasets.values()]

# %% [markdown]
# ## Scores
#
# `better_in` is the share of cells in which the twin beats a floor. For movies that are repeated
# there is `ccnorm`, the correlation with the mean response over what its noise allows. The twin
# knows the gaze of each repeat, the mean does not: under eye movements more than 1 is possible, and
# only with a stabilised eye is 1 the bound.

# %%
evaluation = evaluate_twin(twin, sets)
run.save_table(evaluation.summary().reset_index(), "summary", "Bits per spike over cells.")
run.save_metrics(evaluation.summary()["median"].dropna().to_dict())
evaluation.summary().round(3)

# %%
types = evaluation.types.groupby("type", sort=False).median(numeric_only=True)
run.save_table(types.reset_index(), "types", "Medians over cells by type of stimulus.")
types.round(3)

# %% tags=["nbval-check-output"]
print(f"n = {len(evaluation.cells)} cells, types: {', '.join(types.index)}")

# %% [markdown]
# ## In pictures
#
# Scores of each cell beside floors and truth; rate, missing bins and reliability, with what speaks
# against a cell in words; receptive fields of the twin against the true ones; and rates around
# saccades, with what is left of them when the twin is fed the behaviour of another moment. The
# ratio of the two is what it takes from eye movements and not from the frames.

# %%
for name, figure in evaluation.figures().items():
    run.save_figure(mark_simulated(figure, simulated), name.replace(" ", "_"), f"Twin: {name}.")
plt.show()

# %%
errors = recovery_summary(evaluation.recovery) if simulated else evaluation.fields
run.save_table(errors.reset_index(), "fields", "Receptive fields: distance from the truth.")
errors.round(3)

# %% [markdown]
# ## Where cells look
#
# From the noise, the frames that spikes follow: their average finds simple cells, their energy
# complex ones as well. The cross marks the centre.

# %%
name, first = next(iter(sets.datasets.items()))
recording, cells = first.recording, evaluation.cells.loc[name]
px_per_deg = recording.metadata["px_per_deg"]
best = np.argsort(-cells["bits_per_spike"].to_numpy())[:n_shown]
names = [f"cell {cells.index[place]}" for place in best]
fields = receptive_fields(recording)
show(
    plot_strips(
        fields.maps.ste_z[best], fields.lags_ms, px_per_deg, names, "STE (z)", fields.centres[best]
    ),
    "energy",
    "Spike-triggered energy of the noise by lag; the cross is the centre found.",
)

# %% [markdown]
# ## Gratings
#
# Mean rates after gratings of each spatial frequency and orientation: counts of the recording, and
# rates of the twin for the same gratings.

# %%
rates = predict_rates(twin, first, labels=[TRAIN, VALIDATION, TEST])
measured = grating_tuning(recording)
predicted = grating_tuning(recording, rates)
show(
    plot_tuning(
        {"data": measured.at_peak[:, :, best], "twin": predicted.at_peak[:, :, best]},
        measured.sfs,
        measured.orientations,
        recording.metadata["rate_hz"],
        names,
        {"data": measured.table()[["sf", "ori"]].to_numpy()[best]},
    ),
    "gratings",
    "Tuning to gratings at each cell's best lag; marks: what the data prefer.",
)

# %% [markdown]
# ## What excites cells most
#
# Movies found by gradient ascent on the twin's rates, from faint noise, at a limited contrast.

# %%
shape = (first.config.n_lags, *first.config.grid)
still = np.zeros(first.config.behavior_dims, np.float32)
found = most_exciting_inputs(twin_predict(twin, name), shape, best, still, steps=30, seed=seed)
rate_hz = recording.metadata["rate_hz"]
show(
    plot_most_exciting(found.movies, found.rates * rate_hz, found.blank_rates * rate_hz, rate_hz,
                       px_per_deg, names),
    "most_exciting",
    "The last frames of the most exciting movies, and the rate at their end.",
)  # fmt: skip
