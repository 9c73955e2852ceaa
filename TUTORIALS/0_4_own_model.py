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
# # Your own model
#
# A forecaster of your own in 30 lines, scored on the same windows and beside the same baselines as
# all others. First one in closed form, then a network, of which you write only the core.

# %% tags=["parameters"]
session = "small"
rate = None
run_dir = ""
seed = 0
epochs = 2

# %%
import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

from utils.batch import RunFolder
from utils.evaluation import describe, fitted_baseline, leaderboard, score_forecasts
from utils.load_meso_session import open_session
from utils.models.forecasting import (
    Forecaster,
    build_forecaster,
    load_model,
    register_forecaster,
)
from utils.models.forecasting.network import ForecastModule, NetworkForecaster
from utils.plots import mark_simulated, use_style
from utils.plots.forecasting import plot_skill_by_horizon
from utils.preprocessing import preprocess
from utils.windows import load_windows

use_style()
run = RunFolder(run_dir)
data = load_windows(preprocess(open_session(session, rate=rate), progress=False), 48, 16)
data

# %% [markdown]
# ## In closed form
#
# The last value decays towards the mean of the training block, at one speed for all neurons:
# `future[h] = mean + decay[h] * (last - mean)`. A forecaster has
#
# - a `name`, and in `learnt` the names of the tensors that a saved model keeps;
# - `_fit(data)`, which learns from `data.train` (and chooses settings on `data.validation`);
# - `_forecast(past, mask, covariates)`: (batch, context, neuron) -> (batch, horizon, neuron).
#   What was not measured arrives as 0, with `mask` False there (`mask` is None where nothing is
#   missing).


# %%
@register_forecaster
class Damped(Forecaster):
    """The last value, decaying to the train mean."""

    name = "damped"
    learnt = ("level", "decay")

    def _fit(self, data):
        windows = data.train.batch(range(0, len(data.train), 4))
        self.level = windows.past.mean(dim=(0, 1))  # (neuron,)
        last, future = windows.past[:, -1:] - self.level, windows.future - self.level
        self.decay = (last * future).sum(dim=(0, 2)) / last.square().sum()  # (horizon,)

    def _forecast(self, past, mask, covariates):
        return self.level + self.decay[:, None] * (past[:, -1:] - self.level)


damped = build_forecaster("damped").fit(data)
damped.decay

# %% [markdown]
# ## A network
#
# You write `core`: the past in units of each neuron's standard deviation (0 where missing) ->
# outputs in the same units. Around it there is already: a simple forecast that the network
# corrects (`skip=linear`, `population` or `none`), covariates, heads with distributions
# (`head=student_t`), training with early stopping on any device, checkpoints, saving.


# %%
class RecurrentCore(ForecastModule):
    """A GRU over the population."""

    def __init__(self, config, sizes):
        super().__init__(config, sizes)
        self.memory = nn.GRU(sizes.n_neurons, 32, batch_first=True)
        self.readout = nn.Linear(32, sizes.horizon * sizes.n_neurons * self.head.n_outputs)
        nn.init.normal_(self.readout.weight, std=0.01)  # starts at the forecast that it corrects

    def core(self, inputs, covariates):
        _, state = self.memory(inputs)  # (1, batch, 32): what the population did
        shape = self.sizes.horizon, self.sizes.n_neurons, self.head.n_outputs
        return self.readout(state[0]).unflatten(1, shape)


@register_forecaster
class Recurrent(NetworkForecaster):
    """The linear forecast of each neuron, corrected by a GRU over all of them."""

    name = "recurrent"
    Module = RecurrentCore


trainer = {"max_epochs": epochs, "stride": 4, "learning_rate": 1e-3, "weight_decay": 0.1}
recurrent = build_forecaster("recurrent", trainer={**trainer, "seed": seed, "progress": False})
recurrent.fit(data)

# %% [markdown]
# ## Score
#
# Nothing else is needed to compare them. `verdict` is about the context mean; `describe` says it
# for every baseline. Do not choose settings by these numbers: `split="validation"` is for that.

# %%
models = [damped, recurrent, *(fitted_baseline(n, data) for n in ("mean", "ar16"))]
scores = [score_forecasts(model, data, seed=seed) for model in models]
board = leaderboard(scores)
run.save_table(board, "leaderboard", "Two models of this notebook beside two baselines.")
board[["model", "source", "mse", "r2", "over_mean_skill", "over_ar16_skill", "verdict"]].round(4)

# %% tags=["nbval-check-output"]
print(f"{data.source} data, {data.n_neurons} cells, n = {len(data.test)} test windows")
print(f"damped: skill over the mean {board.set_index('model').over_mean_skill['damped']:+.2f}")

# %%
print(describe(scores[1]))

# %%
figure = plot_skill_by_horizon(pd.concat(s.to_frame() for s in scores), ["mean", "ar16"])
mark_simulated(figure, data.source == "simulated")
run.save_figure(figure, "skill_by_horizon", "Skill by time ahead.")
plt.show()

# %% [markdown]
# ## Keep it
#
# `save` writes weights, settings, scaling, the neurons' ids and versions (no pickles).

# %%
if run.folder:
    recurrent.save(run.folder / "model")
    past = data.test.batch([0]).past
    again = load_model(run.folder / "model").predict(past)
    print("loaded model forecasts the same:", torch.equal(again, recurrent.predict(past)))

# %% [markdown]
# ## Make it one of the family
#
# Put the class into `utils/models/forecasting/<name>.py`, one line into `registry.py` there, and
# its settings into `3_MODELLING/experiments/model/<name>.yaml`. From then on
# `python -m utils.batch run 3_2_informer -p overrides "[model=<name>]"` trains it, the comparison
# knows it, and `make test` holds it to the gates: no look into the future, no dependence on batch
# size or order, nothing learnt from shuffled time, missing values masked, saved and loaded alike.
