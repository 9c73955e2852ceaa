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
# # How large must a neuron's memory be?
#
# Trained ELM neurons, scored on NeuronIO exactly as the published figures are: how well do they
# predict spikes and voltage, where are they wrong, and what do more memory units buy?
#
# `models` lists saved neurons (`model` folders of 3_4_elm_neuronio) and published checkpoints
# (`.pt` files of https://github.com/AaronSpieler/elmneuron, with `model_config.json` beside them).
# Where it is empty, neurons of `sizes` memory units are trained here for a few seconds; where
# `test` (a folder of converted files) is empty, all data are a **simulated stand-in**, on which
# published figures show the scale and nothing more.

# %% tags=["parameters"]
models = []
test = ""
sizes = [1, 5, 20]
n_simulations = 32
experiment = "elm/neuronio"
overrides = [
    "trainer.max_epochs=4",
    "trainer.learning_rate=1e-2",
    "windows.batches_per_epoch=150",
    "loss_burn_in=150",
]
run_dir = ""
seed = 0

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from utils.batch import RunFolder
from utils.config import load_config
from utils.datasets.neuronio import NeuronIODataModule, open_neuronio, simulated_neuronio
from utils.evaluation import predict_neuronio
from utils.metrics import neuronio_metrics
from utils.models.elm import load_model, load_official_checkpoint
from utils.models.elm.callbacks import draw_prediction
from utils.models.elm.linear_neuron import LinearNeuron
from utils.models.elm.recurrence import Events
from utils.models.elm.tasks import NeuronIOExperiment, NeuronIOTask, start_at_rate
from utils.models.elm.watching import Watched, to_numpy
from utils.plots import mark_simulated, use_style
from utils.plots.elm import plot_states
from utils.plots.elm_scores import plot_errors, plot_scores_by_size
from utils.training import fit_task

use_style()
run = RunFolder(run_dir)
is_simulated = not test
test = test or simulated_neuronio(max(4, n_simulations // 4), seed=2)
store = open_neuronio(test)


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, is_simulated), name, caption)
    plt.show()


store

# %% [markdown]
# ## The neurons
#
# Beside them stands a linear neuron, which filters and sums its inputs and knows no more.

# %%
neurons = {
    path: load_official_checkpoint(path) if str(path).endswith(".pt") else load_model(path)
    for path in models
}
if not models:
    train = simulated_neuronio(n_simulations, seed=1)
    for size in sizes:
        config = load_config(
            experiment,
            [*overrides, f"neuron.num_memory={size}", "trainer.progress=false"],
            NeuronIOExperiment,
        )
        data = NeuronIODataModule(train, seed=seed, **dict(config.windows))
        torch.manual_seed(seed)
        neurons[f"d_m {size}"] = config.build_neuron()
        start_at_rate(neurons[f"d_m {size}"], data.spike_rate)
        task = NeuronIOTask(neurons[f"d_m {size}"], config.trainer, config.loss_burn_in)
        fit_task(task, data.train_dataloader(), data.val_dataloader(), config.trainer)
    neurons["linear"] = LinearNeuron().fit(data.train_dataloader())

# %% [markdown]
# ## Scores
#
# Windows of 500 ms that start at rest, their first 150 ms unused; the first 500 ms of a simulation
# and simulations with more than 24 spikes do not count; the predicted voltage is aligned to the
# true one's mean and spread, file by file.

# %%
predictions = {
    name: [prediction.counted() for prediction in predict_neuronio(neuron, store)]
    for name, neuron in neurons.items()
}
pooled = {name: [np.concatenate(x) for x in zip(*files)] for name, files in predictions.items()}
scores = pd.DataFrame({n: neuronio_metrics(*x, [0.0025, 0.01]) for n, x in pooled.items()}).T
scores["parameters"] = [sum(p.numel() for p in neuron.parameters()) for neuron in neurons.values()]
scores["num_memory"] = [getattr(neuron, "num_memory", 0) for neuron in neurons.values()]
scores["simulations"] = len(store)
run.save_table(scores, "scores", f"Scores on {len(store)} test simulations.")
run.save_metrics({name: row.dropna().to_dict() for name, row in scores.iterrows()})
scores.round(3)

# %% tags=["nbval-check-output"]
print("simulated stand-in" if is_simulated else "NeuronIO", "| n =", len(store), "test simulations")
print("scored:", ", ".join(map(str, scores.index)))

# %%
measured = scores[scores.num_memory > 0].assign(name="these neurons")
show(
    plot_scores_by_size(measured),
    "scores_by_size",
    "Scores by size, beside the published ones of the official test set.",
)

# %% [markdown]
# ## Where is the best one wrong?
#
# Left: is a spike with predicted probability p seen in a share p of all ms? Right: errors of the
# voltage.

# %%
best = measured.rmse_mv.idxmin()
spikes, probability, soma_mv, predicted_mv = pooled[best]
show(
    plot_errors(probability, spikes, predicted_mv, soma_mv),
    "errors",
    f"Calibration of spikes and errors of the voltage of {best}, {len(store)} test simulations.",
)

# %% [markdown]
# ## A second in its life
#
# The second with the most spikes of the first test file. The neuron starts at rest, where training
# did not judge it, and needs about 150 ms to come to itself. Branches follow their inputs; memory
# units with long time constants carry what happened over tenths of a second.

# %%
neuron = neurons[best]
counts = store.files[0].spikes.cumsum(axis=1, dtype=int)
in_a_second = counts[:, 1000:] - counts[:, :-1000]
simulation, start = np.unravel_index(in_a_second.argmax(), in_a_second.shape)
batch = store.windows(np.array([simulation]), np.array([start]), 1000)
events = Events(batch.idx, batch.ptr, batch.val)
with torch.no_grad():
    trace = neuron.run(events)
show(
    draw_prediction(Watched(neuron, events, trace, trace.output), batch),
    "prediction",
    f"Prediction of {best} and truth in a second of a test simulation.",
)

# %%
show(
    plot_states(np.arange(1000), *map(to_numpy, (trace.branch[0], trace.memory[0], neuron.tau_m))),
    "states",
    f"What branches and memory of {best} held in that second.",
)
