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
# # The twin of a session
#
# Cells of visual areas in a mesoscope recording saw gratings in the task, and sparse noise in the
# passive bout. A twin learns from the frames of the screen and from what the mouse did what these
# cells do. Then it can be asked what the recording was too short or too noisy to say: where a cell
# looks, and how its response grows with contrast. In a simulated session the answers are known.
#
# A session needs trials or sparse noise, and cells in visual areas; `areas` chooses among them.

# %% tags=["parameters"]
session = "small"
experiment = "v1_twin/training/session"
overrides = []
areas = None
response = "deconvolved"
n_lags = 4
rate = None
run_dir = ""
seed = 0

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from utils.batch import RunFolder
from utils.config import load_config
from utils.datasets.v1 import V1DataModule
from utils.datasets.v1.mesoscope import describe_session, in_training_units, mesoscope_recording
from utils.datasets.v1.screen import DEFAULT_SCREEN
from utils.evaluation.v1_twin import predict_rates
from utils.evaluation.v1_twin.predict import twin_predict
from utils.evaluation.v1_twin.session import (
    contrast_recovery,
    contrast_responses,
    field_recovery,
    look_at,
    noise_fields,
    probed_contrasts,
    probed_fields,
    session_scores,
    session_truth,
)
from utils.load_meso_session import open_session
from utils.models.v1_twin import TwinExperiment, build_model, fit_twin
from utils.plots import mark_simulated, use_style
from utils.plots.v1_session import plot_contrasts, plot_screen, plot_session_fields
from utils.simulation import load_truth
from utils.splits import TRAIN

use_style()
run = RunFolder(run_dir)
config = load_config(experiment, [f"trainer.seed={seed}", *overrides], TwinExperiment)
recorded = open_session(session, rate=rate)
recording = mesoscope_recording(recorded, areas, response=response)
simulated = recorded.is_simulated


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, simulated), name, caption)
    plt.show()


recording

# %% [markdown]
# What the session lacks, and what was left out; and the cells of each area.

# %%
print("\n".join(recording.metadata["missing"]) or "nothing is missing")
pd.Series(recording.metadata["areas"], name="cells").value_counts().to_frame()

# %% [markdown]
# ## What was on the screen
#
# A frame is the mean over the 0.2 s of a bin: a grating that the wheel turns to the middle, and
# squares of noise that change within the bin. The trials of the recording are pieces of 30 s; a
# split deals them out, and no frame of one is seen in another.

# %%
contrast = np.abs(recording.stim.astype(int) - 127).max(axis=(1, 2))
kinds = {name: recording.stim_type == i for i, name in enumerate(recording.metadata["stim_types"])}
bins = [b for name in ("task", "noise") for b in np.flatnonzero(kinds[name] & (contrast > 60))[3:8]]
show(
    plot_screen(
        recording.stim[bins],
        [f"{recording.t_bins[b]:.1f} s" for b in bins],
        recording.metadata["px_per_deg"],
    ),
    "screen",
    "Frames of the visual field, deg from straight ahead: a grating of the task, sparse noise.",
)

# %% [markdown]
# ## Receptive fields from the noise
#
# Responses of training trials, correlated with what was seen in their bin and the one before,
# blurred by 8 deg. A field is clear where the correlation is 4.5 standard deviations from none:
# there the twin begins to look.

# %%
sets_config = describe_session(recording, n_lags=n_lags)
scaled = in_training_units(recording, sets_config)
sets = V1DataModule([sets_config], {sets_config.name: scaled}, **config.loading)
data, name = sets.datasets[sets_config.name], sets_config.name
fields = noise_fields(scaled, mask=data.counted(TRAIN))
run.save_table(fields.reset_index(), "fields", "Receptive fields from sparse noise.")
print(f"{fields['clear'].sum()} of {len(fields)} cells have a clear receptive field")
fields[fields["clear"]].round(1).head(8)

# %% [markdown]
# ## Train
#
# Deconvolved activity is zero in most bins and of any size in others, so the loss is that of a
# Tweedie distribution, a random number of events of random size. A twin that sees no frames, only
# wheel, pupil, motion energy and licks, is the floor.

# %%
twin = config.build_model(sets.configs)
look_at(twin, name, fields, DEFAULT_SCREEN)
result = fit_twin(twin, sets, config)
if run.folder:
    twin.save(run.folder / "model")
blind = build_model("behavior_only", sets.configs)
fit_twin(blind, sets, config)
print(f"{sum(p.numel() for p in twin.parameters()):,} parameters")
result.curves.round(4)

# %% [markdown]
# ## What it explains
#
# The share of the deviance that is explained on test trials, 0 for the mean response. It is small:
# most of what a cell does is private, or noise. For the cells with a clear field:

# %%
rates = {"twin": predict_rates(twin, data), "behaviour only": predict_rates(blind, data)}
scores = session_scores(data, rates, config.loss)
run.save_table(scores.reset_index(), "scores", "Deviance explained on test trials, by stimulus.")
clear = np.flatnonzero(fields["clear"])
summary = scores[scores.index.isin(clear, level="cell")].groupby("type").mean()
run.save_metrics({f"{model}_{kind}": v for (kind, model), v in summary.stack().items()})
summary.round(4)

# %% tags=["nbval-check-output"]
print(
    f"simulated: {simulated}, n = {recording.n_cells} visual cells, {len(recording.trials)} pieces"
)

# %% [markdown]
# ## Ask the twin
#
# It is shown one square at a time, at all places, and gratings of all contrasts on the left, always
# with the same behaviour. The recording had each square some dozen times among others, and each
# contrast in some dozen trials, with all that the mouse did meanwhile.

# %%
predict, behavior = twin_predict(twin, name), np.zeros(sets_config.behavior_dims)
probed = probed_fields(predict, DEFAULT_SCREEN, n_lags, behavior)
asked = probed_contrasts(predict, DEFAULT_SCREEN, n_lags, behavior=behavior)
seen = contrast_responses(scaled, recorded.trials, np.where(data.valid, data.responses, np.nan))
run.save_table(probed.reset_index(), "twin_fields", "Receptive fields of the twin.")
run.save_table(asked.reset_index(), "twin_contrasts", "Contrast responses of the twin.")
asked.loc[clear].round(3).head(8)

# %% [markdown]
# ## Is it true?
#
# The simulation knows. Receptive fields of the twin are compared with the true ones, beside those
# that the noise gives without a twin, for cells with a clear field; contrast responses for those of
# them whose field the grating reaches (it adds more than 1 to the logarithm of the rate). Any
# response that grows is similar to any other, so a straight line stands beside them: a twin that
# is no better has not learnt where a cell saturates.
#
# In the simulated sessions the twin sees about as well as the noise says where a cell looks, or
# better; of contrast it says much more than the trials, and hardly more than the line.

# %%
if simulated:
    cells = recorded.neurons.iloc[recording.metadata["cell_ids"]]
    truth = session_truth(load_truth(recorded.session_path), cells)
    known = (fields["clear"] & truth["visual"]).to_numpy()
    recovery = field_recovery(truth, {"noise": fields, "twin": probed}, known)
    run.save_table(recovery.reset_index(), "field_recovery", "Distance from the true centre, deg.")
    print(recovery.round(2).to_string())
    print(f"clear, but not visual: {(fields['clear'] & ~truth['visual']).sum()} cells")

# %%
if simulated:
    show(
        plot_session_fields({"noise": fields[known], "twin": probed[known]}, truth[known]),
        "fields",
        "Centres of receptive fields against the true ones.",
    )

# %%
if simulated:
    reached = known & (truth["drive"] > 1).to_numpy()
    line = asked * 0 + [float(column[1:]) for column in asked]
    similar = {
        source: contrast_recovery(truth[reached], table[reached])
        for source, table in {"trials": seen, "line": line, "twin": asked}.items()
    }
    table = pd.DataFrame(similar).describe().loc[["count", "25%", "50%", "75%"]]
    run.save_table(table.reset_index(), "contrast_recovery", "Correlation with true responses.")
    print(table.round(3).to_string())
    true = truth[list(asked)]
    tables = {"truth": true, "trials": seen, "twin": asked}
    show(
        plot_contrasts({source: found[reached] for source, found in tables.items()}),
        "contrasts",
        "How responses grow with contrast: in truth, in the trials, and in the twin.",
    )
