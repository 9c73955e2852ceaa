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
# # Decoding a session from spectral images
#
# What did the animal see and do, read from its cortex? A window about each stimulus becomes an
# image: rows are a slow level and rhythms up to 2.3 Hz (frames come five times a second), columns
# are time, channels the means of areas and the leading components of the population. A network with
# one head per question says the side and the contrast of the stimulus, the choice, how fast the
# wheel turned and how wide the pupil was.
#
# - The blocks of time of the session say which trials train, validate and test; no window reaches
#   from one block into another.
# - Images are scaled by the statistics of the training windows, never each for itself: that would
#   erase how strong the activity was.
# - Movement is a question, so it is not among the inputs.
# - Linear decoders get the same windows. A network that does not beat them is said not to.
#
# `session` is any recording with trials; a suite2p folder has none, and the message says so.

# %% tags=["parameters"]
session = "sample"
experiment = "decoding/session"
overrides = []
preprocessing = "deconvolved"
n_simulated = 1000
cells_per_group = 10
rate = None
run_dir = ""
seed = 0

# %%
import matplotlib.pyplot as plt
import numpy as np

from utils.batch import RunFolder
from utils.config import load_config
from utils.datasets.session_windows import region_images, trial_images
from utils.datasets.time_frequency import time_frequency_data
from utils.datasets.time_frequency_module import TimeFrequencyModule
from utils.evaluation.decoding import (
    DecodingExperiment,
    baseline_predictions,
    network_predictions,
    score_decoders,
)
from utils.load_meso_session import open_session
from utils.models.spectral import fit_spectral
from utils.plots import mark_simulated, use_style
from utils.plots.decoding import plot_decoding, plot_mean_images, plot_recovered
from utils.preprocessing import preprocess
from utils.simulation.rhythms import simulate_rhythms
from utils.simulation.timeline import FRAME_RATE
from utils.splits import TEST, TRAIN, VALIDATION
from utils.windows import load_windows

use_style()
run = RunFolder(run_dir)
config = load_config(experiment, [*overrides, f"trainer.seed={seed}"], DecodingExperiment)


def show(figure, name, caption, simulated):
    run.save_figure(mark_simulated(figure, simulated), name, caption)
    plt.show()


def decode(data, folder):
    """Predictions of the baselines and of a network, all fitted to the training windows."""
    module = TimeFrequencyModule(data, batch_size=config.trainer.batch_size, seed=seed)
    fit = fit_spectral(config, module)
    if run.folder:
        fit.model.save(run.folder / folder)
    print(f"{fit.model.n_parameters:,} parameters, best epoch {fit.training.best_epoch + 1}")
    return baseline_predictions(data) | {"network": network_predictions(fit.model, module)}


# %% [markdown]
# ## Does it find what is known?
#
# Sixteen cells that share a rhythm, seen through an indicator for 25 s. Of each recording the decay
# of the indicator, and the frequency and the amplitude of the rhythm, are drawn anew; the image of
# the population's mean should tell them. How well a decoder can do is limited: a weak rhythm under
# a slow indicator leaves little trace.

# %%
calcium = simulate_rhythms(n_simulated, seed=seed)
block = np.full(n_simulated, TRAIN)
block[-3 * n_simulated // 10 :], block[-n_simulated // 5 :] = VALIDATION, TEST
known = time_frequency_data(
    calcium.dff.mean(axis=2, keepdims=True),
    FRAME_RATE,
    calcium.truth,
    block,
    config.images.model_copy(update={"n_frequencies": 16, "n_times": 16}),
    channels=["population mean"],
)
said = decode(known, "model_known_truth")
recovered = score_decoders(known, said, seed=seed)
recovered[["target", "metric", "model", "score"]].round(3)

# %%
truth = {
    target.name: known.values[known.samples(TEST), i] for i, target in enumerate(known.targets)
}
show(
    plot_recovered(truth, {name: said[name] for name in ("linear on images", "network")}),
    "known_truth",
    "What was read from images of simulated calcium over what was put in; held-out recordings.",
    simulated=True,
)

# %% tags=["nbval-check-output"]
ridge = recovered[recovered["model"] == "linear on images"].set_index("target")
assert (ridge["low"] > 0).all()
print(f"{', '.join(ridge.index)}: recovered by the ridge, n = {ridge['n'].iloc[0]} recordings")

# %% [markdown]
# ## The session
#
# Deconvolved events, because an indicator smears one trial into the next. Trials that do not lie
# inside one segment of a block are left out, as are questions that the recording cannot answer.

# %%
recording = open_session(session, rate=rate)
session_file = preprocess(recording, preprocessing, progress=False)
n_frames = round(config.images.window * recording.frame_rate)
windows = load_windows(session_file, n_frames - 1, 1)
data = trial_images(recording, windows, config.images)
simulated = windows.source == "simulated"
data

# %%
data.left_out

# %%
places = {target.name: i for i, target in enumerate(data.targets)}
if "side" in places:
    side = data.labels[data.samples(TRAIN), places["side"]]
    images = data.images[data.samples(TRAIN)]
    conditions = {"left": side == 0, "right": side == 1}
    show(
        plot_mean_images(
            {name: images[chosen].mean(axis=0) for name, chosen in conditions.items()},
            data.channels,
            data.frequencies,
            data.times - config.images.before,
            {name: int(chosen.sum()) for name, chosen in conditions.items()},
        ),
        "mean_images",
        "Mean image of the training trials with a stimulus on the left or right.",
        simulated,
    )

# %% [markdown]
# ## What can be decoded?
#
# Classes by the area under the receiver's curve (AUROC, 0.5 is chance) and balanced accuracy,
# quantities (log10 of the wheel's speed, pupil in pixels) by R². Intervals come from blocks of 30 s
# drawn with replacement; `over_linear` compares with the better of the linear decoders.

# %%
predictions = decode(data, "model")
scores = score_decoders(data, predictions, seed=seed)
run.save_table(scores, "scores", f"Decoding of {len(data.block)} trials, test ({windows.source}).")
run.save_metrics({"known_truth": recovered.to_dict("records"), "trials": scores.to_dict("records")})
scores.drop(columns=["chance", "n_blocks"]).round(3)

# %%
show(
    plot_decoding(scores),
    "decoding",
    "Scores on the test block with 95 % intervals; the line is chance.",
    simulated,
)

# %% tags=["nbval-check-output"]
print(f"{windows.source} data, {len(data.samples(TEST))} test trials")
print(f"questions: {', '.join(places)}")

# %%
network = scores[scores["model"] == "network"]
for row in network.groupby("target", sort=False).first().reset_index().itertuples():
    print(
        f"{row.target}: {row.metric} {row.score:.2f} [{row.low:.2f}, {row.high:.2f}], {row.verdict}"
    )

# %% [markdown]
# ## Which area is it?
#
# Images of small groups of cells: their mean and their spread. Each group of cells belongs to one
# block, so the question is put to cells and times that training never saw. Intervals are over time;
# other groups of cells may do better or worse than these few.

# %%
try:
    regions = region_images(windows, config.images, cells_per_group=cells_per_group, seed=seed)
except ValueError as reason:
    print(reason)
else:
    of_regions = score_decoders(regions, decode(regions, "model_regions"), seed=seed)
    run.save_table(of_regions, "regions", f"Region of {cells_per_group} cells ({windows.source}).")
    print(f"areas: {', '.join(regions.targets[0].classes)}")
    print(of_regions[["metric", "model", "score", "low", "high", "verdict"]].round(3).to_string())

# %% [markdown]
# ## What a decoder does not say
#
# That something can be read from an area does not mean that the brain reads it there. The window
# goes on after the movement and the reward, so a decoded choice may be a decoded movement. And a
# few hundred trials are few for a network: where the linear decoder is as good, take the linear
# one. On simulated data all this shows that the code works, and nothing about brains.
