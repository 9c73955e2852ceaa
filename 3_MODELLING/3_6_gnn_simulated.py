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
# # Who drives whom? Connectivity from activity
#
# Each neuron of a network is driven by itself and by what the others send:
#
# $$\frac{du_i}{dt} = \phi_i(u_i) + \sum_j W_{ij}\,\psi(u_j) + I_i(t)$$
#
# Only the activity $u$ is recorded. Here $W$, $\psi$ and $\phi$ are found from it, without knowing
# any of them, in a network that is **simulated**, so that what is found can be held to the truth.
#
# The weights are Cauchy distributed (a few are large), and there are four types of neurons, which
# differ in leak and self-coupling. The default is a small network; the published size is
#
# ```
# python -m utils.batch run 3_6_gnn_simulated -p experiment gnn/baseline_n1000
# ```
#
# and `3_MODELLING/experiments/gnn/` holds other networks: noisy, sparse, of low rank, with Dale's
# law, with messages that depend on types, or seen through calcium.

# %% tags=["parameters"]
experiment = "gnn/tiny"
overrides = []
run_dir = ""
seed = 0

# %%
import time

import matplotlib.pyplot as plt

from utils.batch import RunFolder
from utils.config import load_config
from utils.evaluation import evaluate_connectivity
from utils.evaluation.connectivity_experiment import (
    ConnectivityExperiment,
    compare_estimates,
    fit_network,
)
from utils.models.gnn.schemes import compare_schemes
from utils.plots import mark_simulated, use_style
from utils.plots.network_dynamics import plot_activity
from utils.simulation import simulate_network

use_style()
run = RunFolder(run_dir)
config = load_config(experiment, [f"data.seed={seed}", *overrides], ConnectivityExperiment)
network = simulate_network(config.data)


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure), name, caption)
    plt.show()


# %% tags=["nbval-check-output"]
print(f"simulated, family {config.data.family}, {config.data.connectivity} weights")
print(f"n = {config.data.n_neurons} neurons, {config.data.n_frames:,} frames of {network.dt}")

# %% [markdown]
# ## What is recorded
#
# Rich activity is what makes weights visible. It has far fewer dimensions than neurons: some
# combinations of weights hardly matter to it, and are what a fit gets wrong first.

# %%
show(
    plot_activity(network.observed[:2000], network.dt, network.types),
    "activity",
    "What is observed of the network, first 2000 frames.",
)

# %% [markdown]
# ## What a recording gives
#
# A recording holds no derivative, and it holds noise. First, then, the honest case: noise is added
# to the activity (which has a standard deviation of about 10), and the derivative is estimated from
# what is left. A forward difference multiplies the noise by $\sqrt{2}/dt$; a Savitzky-Golay filter
# averages it away; the weak form takes no derivative at all.

# %%
estimates = compare_estimates(network, config, seed=seed)
run.save_table(estimates, "estimates", "Recovered weights by noise and estimate of the derivative.")
estimates.round(3)

# %% [markdown]
# `r2` is the squared correlation of learned and true weights over all pairs of neurons. The largest
# weights rule it; `spearman` and `auprc` (finding the strongest 5 % of the pairs) see the others.
# A `slope` other than 1 says that $\psi$, and with it the scale of all weights, is wrong: noise in
# the activity flattens what is regressed on it.
#
# ## How good can it be?
#
# With the exact derivative nothing stands between the activity and the network: what is still
# wrong is the fault of the method, or cannot be told from this activity. $\psi$ is learned from a
# few neurons, by gradient; given $\psi$, all of $W$ and $\phi$ follow in closed form.

# %%
start = time.perf_counter()
fit = fit_network(network, config.fit, exact=True, seed=seed)
evaluation = evaluate_connectivity(fit, network, seconds=time.perf_counter() - start)
if run.folder:
    fit.save(run.folder / "model")
    evaluation.write_log(run.folder / "analysis.log")
run.save_table(evaluation.summary(), "scores", "All scores of the fit to the exact derivative.")
run.save_metrics({**evaluation.scores, "estimates": estimates.to_dict("records")})
evaluation.summary().drop("training_time_min").round(4)

# %% tags=["nbval-check-output"]
scores = evaluation.scores
print(f"connectivity R2 above 0.99: {scores['connectivity_R2'] > 0.99}")
print(f"types: {scores['cluster_accuracy']:.0%} right, {scores['n_types_estimated']} estimated")

# %% [markdown]
# ### Weights
#
# Learned weights are put on the scale of the true ones by the range of $\psi$: activity alone does
# not say whether a message is large because of $W$ or of $\psi$.

# %%
figures = evaluation.figures()
show(figures["weights"], "weights", "True and learned weights, rows receive and columns send.")
show(figures["scatter"], "scatter", "Learned over true weights of all pairs of neurons.")
show(figures["eigenvalues"], "eigenvalues", "Eigenvalues of true and learned weights.")

# %% tags=["nbval-check-output"]
print("R2 of the weights between types (rows receive):")
print(evaluation.by_type.round(2).to_string())

# %% [markdown]
# ### Functions and types
#
# Types were not given: neurons are told apart by their $\phi$, and where messages depend on types
# (`gnn/n4`, `n5`, `n11`) by what they send or receive.

# %%
show(figures["psi"], "psi", "What senders pass on, learned and true.")
show(figures["phi"], "phi", "What neurons do by themselves, learned and true.")
show(figures["types"], "types", "Neurons by their learned phi: true types and those found.")

# %% [markdown]
# ### Does it behave like the network?
#
# From a start state that was not in the data, model and network run side by side. The network is
# chaotic: a small difference grows by a factor e in a Lyapunov time, so no model stays with it for
# ever. R2 pools all neurons and all steps so far, over several starts; neurons differ in their mean
# activity, which counts as well.

# %%
show(figures["rollout"], "rollout", "Network and model from one held-out start state.")
show(figures["rollout_r2"], "rollout_r2", "R2 of rollouts over steps from held-out start states.")

# %% [markdown]
# ## Training by gradient
#
# The same model can be trained by gradient: on single derivatives, on its own predictions over T
# steps (recurrent), or through the solver of a neural ODE. All begin at the same model, and each
# may evaluate it equally often. At so small a budget none comes near the closed form; the
# comparison is of what a given effort buys.

# %%
schemes = compare_schemes(
    network.activity,
    network.derivative,
    network.connectivity,
    dt=network.dt,
    seed=seed,
    config=config.gradient,
    **config.schemes.model_dump(),
)
run.save_table(schemes, "schemes", "Weights by scheme of training, exact derivative.")
schemes.drop(columns="seconds").round(3)

# %% [markdown]
# ## Before this is used on a recording
#
# - **These are simulated data**, of the very equation that is fitted. A real network has delays,
#   plasticity, indicators, and inputs that nobody recorded.
# - **Neurons that are not recorded** leave their mark in the weights between those that are:
#   neurons with a common unseen drive look connected. A dynamical system fitted to part of a
#   network can predict it well with a mechanism that is not the network's (Qian et al. 2024).
# - **Strong recurrence biases** estimates of weights, more data do not cure it, and the bias is
#   worst where activity is correlated (Das & Fiete 2020).
# - **Small errors of weights matter**: see how soon a rollout leaves a chaotic network.
# - **A network that comes to rest** tells little of its weights, whatever R2 a rollout has: the fit
#   warns where activity has few dimensions. Noise or input that keeps it awake helps.
#
# References: A. Das, I. R. Fiete, *Systematic errors in connectivity inferred from activity in
# strongly recurrent networks*, Nature Neuroscience 23, 2020. W. Qian, J. A. Zavatone-Veth,
# B. S. Ruben, C. Pehlevan, *Partial observation can induce mechanistic mismatches in
# data-constrained models of neural dynamics*, NeurIPS 2024.
