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
# # A neuron that learns what another neuron does
#
# A detailed model of a cortical neuron turns 1278 synaptic inputs into spikes and a voltage. An ELM
# neuron with a few thousand parameters learns the same from examples, ms by ms; here we train one
# and ask whether it beats a neuron that only sums its inputs.
#
# `train` and `test` are folders of converted NeuronIO files (`python -m utils.datasets.neuronio
# convert SOURCE TARGET` makes them from the published ones, 115 GB to about 4). Without them a
# **simulated stand-in** in the same format is used: 639 dendritic segments with saturating
# branches, not the published neuron. `overrides = []` is the published training, which takes hours.

# %% tags=["parameters"]
train = ""
test = ""
n_simulations = 32
experiment = "elm/neuronio"
overrides = [
    "trainer.max_epochs=8",
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
from utils.evaluation import evaluate_neuronio
from utils.models.elm.callbacks import (
    MemoryDynamics,
    PredictionPictures,
    StateRecorder,
    draw_prediction,
)
from utils.models.elm.linear_neuron import LinearNeuron
from utils.models.elm.tasks import NeuronIOExperiment, NeuronIOTask, start_at_rate
from utils.models.elm.watching import synaptic_weights, to_numpy, watch
from utils.plots import mark_simulated, use_style
from utils.plots.elm import plot_parameters, plot_states
from utils.training import fit_task

use_style()
run = RunFolder(run_dir)
config = load_config(experiment, overrides, NeuronIOExperiment)
is_simulated = not (train and test)
if is_simulated:
    train = simulated_neuronio(n_simulations, seed=1)
    test = simulated_neuronio(max(4, n_simulations // 4), seed=2)
torch.manual_seed(seed)
data = NeuronIODataModule(
    train, batch_size=config.trainer.batch_size, seed=seed, **dict(config.windows)
)


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, is_simulated), name, caption)
    plt.show()


open_neuronio(train), open_neuronio(test)

# %% [markdown]
# ## Train
#
# Half the loss is about spikes (cross-entropy), half about the voltage (squared error, cut off at
# -55 mV). Windows of 500 ms are drawn at random from the training simulations and start at rest,
# which is why their first 150 ms do not count; whole simulations are held out to choose the best
# epoch. The neuron starts by predicting the mean rate of spikes. Pictures of every epoch go to the
# run's folder and to TensorBoard.

# %%
neuron = config.build_neuron()
start_at_rate(neuron, data.spike_rate)
task = NeuronIOTask(neuron, config.trainer, config.loss_burn_in)
logs = run.folder / "training" if run.folder else None
watchers = [StateRecorder(), PredictionPictures(), MemoryDynamics()]
loaders = data.train_dataloader(), data.val_dataloader()
result = fit_task(task, *loaders, config.trainer, folder=logs, callbacks=watchers)
result.curves.round(4)

# %% [markdown]
# ## Is it more than a sum?
#
# The linear neuron filters the excitation and the inhibition of each branch with four time
# constants and sums them up: a ridge regression for the voltage, a logistic one for spikes. Both
# are scored on simulations that training never saw, the way the published figures are.

# %%
linear = LinearNeuron(neuron.num_input).fit(data.train_dataloader())
models = {"ELM neuron": neuron.eval().cpu(), "linear neuron": linear}
scores = pd.DataFrame({name: evaluate_neuronio(model, test) for name, model in models.items()}).T
scores["parameters"] = [sum(p.numel() for p in model.parameters()) for model in models.values()]
run.save_table(scores, "scores", f"Scores on {len(open_neuronio(test))} test simulations.")
run.save_metrics({name: row.to_dict() for name, row in scores.iterrows()})
scores.round(3)

# %% tags=["nbval-check-output"]
print(
    "simulated stand-in" if is_simulated else "NeuronIO", "| n =", len(open_neuronio(test)), "test"
)
print("the ELM neuron explains more of the voltage:", scores.explained_variance.idxmax())

# %% [markdown]
# ## One window
#
# Prediction and truth for the window of the first validation batch with the most spikes, then what
# branches and memory held.

# %%
batch = next(iter(data.val_dataloader()))
window = watch(task, batch)
show(
    draw_prediction(window, batch),
    "prediction",
    "Inputs, predicted and true spikes, predicted and true voltage of a validation window.",
)

# %%
place = int(batch.spikes.sum(dim=1).argmax())
states = (to_numpy(part[place]) for part in (window.trace.branch, window.trace.memory))
show(
    plot_states(np.arange(batch.spikes.shape[1]), *states, to_numpy(neuron.tau_m)),
    "states",
    "What the branches and the memory of the ELM neuron held in that window.",
)

# %% [markdown]
# ## What it has become
#
# Synapses whose weight reached 0 are dead for good: the rectifier passes no gradient. The time
# constants of the memory are spread evenly at first and stay there unless
# `neuron.learn_memory_tau=true`.

# %%
show(
    plot_parameters(to_numpy(neuron.tau_m), synaptic_weights(neuron)),
    "parameters",
    "Time constants of the memory and weights of the synapses after training.",
)

# %%
if run.folder:
    neuron.save(run.folder / "model")
