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
# # From a sound back to its parameters
#
# A synthesiser makes sounds of parameters; a network with one head per parameter looks at their
# spectra and says what the parameters were. Sounds are **simulated**, so the truth is known: which
# parameters can be told at all, how far off are the answers in physical units, and does a sound
# that is made of them again sound the same?
#
# `data` is the folder of a VIMH data set of your own; without it decaying sawtooths are simulated.
# The full size is `epochs = 60`; other experiments lie in `3_MODELLING/experiments/spectral/`.

# %% tags=["parameters"]
data = ""
experiment = "spectral/cnn"
losses = ["cross_entropy", "regression"]
epochs = 8
overrides = []
run_dir = ""
seed = 0

# %%
import matplotlib.pyplot as plt
import pandas as pd
import torch
from IPython.display import Audio, Markdown, display

from utils.batch import RunFolder
from utils.config import load_config
from utils.datasets.vimh import learnable_heads, synthesiser_of, vimh_data
from utils.evaluation.spectral import (
    compare_spectral,
    evaluate_audio,
    evaluate_spectral,
    layer_table,
    spectral_settings,
)
from utils.models.spectral import SpectralExperiment, build_network, fit_spectral
from utils.models.spectral.config import LeafFrontEndConfig
from utils.plots import mark_simulated, use_style
from utils.plots.spectral import plot_filters, plot_images, plot_waveforms

use_style()
run = RunFolder(run_dir)
short = [f"trainer.seed={seed}", f"trainer.max_epochs={epochs}", "trainer.progress=false"]
overrides = short + ([f"data.folder={data}", "data.synthesiser=null"] if data else []) + overrides
config = load_config(experiment, overrides, SpectralExperiment)
sounds = vimh_data(config.data, config.trainer.batch_size)
synthesiser = synthesiser_of(sounds.data.metadata)


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure), name, caption)
    plt.show()


sounds.data

# %% [markdown]
# ## What the network sees
#
# A spectrum per sound: low frequencies at the bottom, time to the right. Each image is scaled to
# its own quietest and loudest value, so how loud the sound was is not in the image; the range in dB
# is kept beside it.

# %%
test = sounds.data.test
titles = [", ".join(f"{values[i]:.4g}" for values in test.values.values()) for i in range(8)]
show(
    plot_images(test.images[:8, 0], test.scale[:8], titles, synthesiser.image),
    "images",
    f"Eight test sounds; titles: {', '.join(test.values)}.",
)

# %% [markdown]
# ## Which parameters can be told at all?
#
# No network says what its inputs do not hold. Two simple probes, the nearest neighbour and ridge
# regression, are asked first: about the images alone, and about images and their range in dB.

# %%
learnable = learnable_heads(sounds.data)
run.save_table(learnable, "learnable", "What probes can tell of each parameter.")
learnable.round(3)

# %% [markdown]
# ## The network, and its training
#
# The best epoch is chosen on validation samples that are carved from the training part; the test
# part decides nothing.

# %%
model, training = fit_spectral(
    config, sounds, folder=run.folder / "training" if run.folder else None
)
if run.folder:
    model.save(run.folder / "model")
layer_table(model, next(iter(sounds.test_dataloader())))

# %%
training.curves.round(4)

# %% [markdown]
# ## How far off?
#
# On test sounds, in the unit of each parameter. The `true class` always names the right class and
# says its value: classes are coarse, so even it is not exact. The score `jnd` is 1 for exact
# answers and 0 for those that are a step or more away. A network that is trained on soft targets
# is right more often than it is sure: its `calibration_error` is large.
#
# Images of decaying sawtooths depend on one number alone, the decay: there the nearest neighbour is
# the one to beat.

# %%
evaluation = evaluate_spectral(model, sounds)
run.save_table(evaluation.table.reset_index(), "heads", "Scores of each head beside baselines.")
run.save_metrics(
    {f"{head} mae": mae for head, mae in evaluation.table.xs("model", level="model")["mae"].items()}
)
evaluation.table.round(3)

# %% tags=["nbval-check-output"]
print(f"{len(sounds.data.train)} training and {len(test)} test sounds, {len(model.heads)} heads")

# %%
for name, figure in evaluation.figures().items():
    run.save_figure(mark_simulated(figure), name.replace(" ", "_"), f"Heads: {name}.")
plt.show()

# %% [markdown]
# ## What the image lacks, beside it
#
# The same network with level and contrast of each sound in dB as auxiliary inputs. They hold the
# velocity, in differences of less than a tenth of a dB beside the 4 dB that the decay makes. So
# beside them stands what the image does not tell of each, by ridge regression on training images.

# %%
with_scale = load_config(experiment, [*overrides, "data.auxiliary=[scale]"], SpectralExperiment)
scaled_sounds = vimh_data(with_scale.data, with_scale.trainer.batch_size)
scaled = evaluate_spectral(fit_spectral(with_scale, scaled_sounds).model, scaled_sounds)
both = pd.concat({"image": evaluation.table, "image + scale": scaled.table}, names=["inputs"])
told = both[both.index.get_level_values("model").isin(["model", "ridge"])].sort_index(level="head")
run.save_table(told.reset_index(), "scale", "Heads with and without the scale of the image.")
told.drop(columns=["low", "high", "baseline"]).round(3)

# %% [markdown]
# ## Losses compared
#
# The same network with other losses: plain classes, and a number in place of classes, which is not
# tied to their steps.

# %%
settings = spectral_settings([experiment.removeprefix("spectral/")], (), losses, overrides)
compared = compare_spectral(settings, seeds=[seed])
columns = ["head", "setting", "unit", "accuracy", "mae", "class_mae", "jnd", "n", "seconds"]
compared = compared[columns].sort_values(["head", "mae"], ignore_index=True)
run.save_table(compared, "losses", "Losses side by side, beside baselines.")
compared.drop(columns="seconds").round(3)

# %% [markdown]
# ## Heard
#
# Sounds made of the predicted parameters beside those of the true ones: noise that the difference
# amounts to, correlation, and the difference of their spectra in dB, medians over sounds. `mean` is
# the sound of the mean parameters.

# %%
heard = evaluate_audio(model, sounds)
run.save_table(heard.summary().reset_index(), "audio", "Resynthesised sounds, medians.")
heard.summary().round(2)

# %%
chosen = range(4)
show(
    plot_waveforms(
        heard.true[chosen],
        heard.made["model"][chosen],
        [f"sound {i}" for i in chosen],
        heard.sample_rate,
        seconds=0.1,
    ),
    "waveforms",
    "Sounds of true and of predicted parameters.",
)

# %%
for i in list(chosen)[:2]:
    for name, audio in (("true", heard.true[i]), ("predicted", heard.made["model"][i])):
        display(Markdown(f"sound {i}, {name}"), Audio(audio, rate=heard.sample_rate))

# %% [markdown]
# ## Filters that are learned, too
#
# Instead of a fixed spectrum the network may see the sound through filters that are trained with it
# (LEAF: Gabor filters and a compression). They begin as the spectrum above.

# %%
leaf = config.model_copy(
    update={
        "front_end": LeafFrontEndConfig(spectrogram=synthesiser.image),
        "data": config.data.model_copy(update={"inputs": "audio"}),
    }
)
audio = vimh_data(leaf.data, leaf.trainer.batch_size)
listener = fit_spectral(leaf, audio).model
fresh = build_network(leaf, audio.image_shape, listener.heads)
before, after = (
    torch.complex(*network.front_end.filters.filters()).detach().numpy()
    for network in (fresh, listener)
)
show(
    plot_filters(before, after, heard.sample_rate),
    "filters",
    "Filters of the front end as they began, and as they were learned.",
)
learned = evaluate_spectral(listener, audio).table.xs("model", level="model")
learned.round(3)
