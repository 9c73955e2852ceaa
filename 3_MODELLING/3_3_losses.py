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
# # What a loss does
#
# The same network, trained with different losses: does it find more events (rare large transients),
# and what does that cost in squared error? Calcium traces are mostly silence, so a loss that
# averages over frames learns silence well.
#
# - **squared error**: the expected value, which for a rare event is far below the event.
# - **event weight**: entries above their neuron's mean + 2 sd weigh more; each entry alone, because
#   with thousands of neurons *some* neuron is active in every frame.
# - **absolute**, **huber**: large errors count less; the forecast moves towards the median.
# - **gaussian**, **student_t**, **quantile**: a whole distribution, scored by CRPS and coverage.
# - **no regulariser**: the likelihood of a silent neuron improves without end as its scale shrinks.

# %% tags=["parameters"]
session = "small"
experiment = "forecasting"
overrides = ["model=tsmixer", "trainer=quick", "trainer.learning_rate=2e-3"]
rate = None
run_dir = ""
seed = 0
losses = {
    "squared": [],
    "event weight 5": ["model.event_weight=5"],
    "absolute": ["model.loss=absolute"],
    "huber": ["model.loss=huber"],
    "gaussian": ["model.head=gaussian"],
    "student_t": ["model.head=student_t"],
    "student_t, no regulariser": ["model.head=student_t", "model.scale_penalty=0"],
    "quantile": ["model.head=quantile"],
}

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from utils.batch import RunFolder
from utils.config import load_config
from utils.evaluation import score_forecasts
from utils.load_meso_session import open_session
from utils.metrics.events import around_onsets, event_share
from utils.models.forecasting import ForecastingConfig, configured
from utils.models.forecasting.losses import SCALE_RANGE
from utils.models.forecasting.simple import train_moments
from utils.plots import mark_simulated, use_style
from utils.plots.losses import plot_event_forecasts, plot_losses, plot_predicted_spread
from utils.preprocessing import preprocess
from utils.training import past_covariates
from utils.windows import load_windows

use_style()
run = RunFolder(run_dir)
configs = {
    label: load_config(experiment, [*overrides, *extra], ForecastingConfig)
    for label, extra in losses.items()
}
windows = next(iter(configs.values())).windows
session_file = preprocess(open_session(session, rate=rate), progress=False)
data = load_windows(session_file, windows.context, windows.horizon)


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, data.source == "simulated"), name, caption)
    plt.show()


data

# %% [markdown]
# ## Train and score
#
# Same network, same windows, same seed. The forecast's threshold for an event is chosen for each
# loss on validation windows, because a forecast of a rare event is smaller than the event.

# %%
models = {
    label: configured(config, seed=seed, progress=False).fit(data)
    for label, config in configs.items()
}
scores = {
    label: score_forecasts(model, data, baselines=["mean", "ar16"], seed=seed)
    for label, model in models.items()
}
table = pd.DataFrame({label: result.summary() for label, result in scores.items()}).T
columns = ["model", "mse", "over_mean_skill", "over_ar16_skill", "auprc", "event_f1"]
table[[*columns, "crps", "coverage_80", "coverage_95"]].infer_objects().round(3)

# %% [markdown]
# ## Events and squared error
#
# An event is a frame in which a cell exceeds its train mean by two standard deviations. Weighting
# events lifts the forecast where events are likely, so that its size comes closer to that of an
# event; the squared error pays for it. Whether events are *found* (area under the precision-recall
# curve) depends on the order of the forecasts alone, and changes much less.

# %%
windows = data.test.batch(range(0, len(data.test), 2))
mean, deviation = (part.float().numpy() for part in train_moments(data))
truth = (windows.future.numpy() - mean) / np.maximum(deviation, 1e-6)
inputs = windows.past, past_covariates(windows), windows.past_mask
forecasts = {
    label: (model.predict(*inputs).numpy() - mean) / np.maximum(deviation, 1e-6)
    for label, model in models.items()
}
observed = None if windows.future_mask is None else windows.future_mask.numpy()
table["event_share"] = [event_share(f, truth, 2.0, observed) for f in forecasts.values()]
run.save_table(table, "losses", f"One network with {len(losses)} losses, test block.")
run.save_metrics({label: row.dropna().to_dict() for label, row in table.iterrows()})
show(
    plot_losses(table, next(iter(losses))),
    "losses",
    f"What each loss does to squared error, events and distribution; {data.n_neurons} cells, "
    f"n = {len(data.test):,} test windows.",
)

# %% tags=["nbval-check-output"]
print(f"{data.source} data, {data.n_neurons} cells, n = {len(data.test)} test windows")
print("losses:", ", ".join(models))

# %%
reach = min(data.horizon - 1, 8)
around, n_events = around_onsets(truth, {"recorded": truth, **forecasts}, 2.0, reach, observed)
show(
    plot_event_forecasts(
        np.arange(-reach, reach + 1) / data.frame_rate, around.pop("recorded"), around, n_events
    ),
    "events",
    "Mean activity about the onset of events in the forecast frames, and the forecasts of them.",
)

# %% [markdown]
# ## How sure
#
# Half the width between the 16 and the 84 % quantiles, for all cells and frames. Dotted: the range
# in which the regulariser of the scale does nothing. Longer training without it lets the spread of
# quiet cells shrink out of that range, until one small transient is infinitely surprising.

# %%
spreads = {}
past, behaviour, mask = inputs
for label, model in models.items():
    if model.is_probabilistic:
        low, high = model.predict_quantiles(past, [0.16, 0.84], behaviour, mask).unbind(-1)
        spreads[label] = (high - low).numpy() / 2 / np.maximum(deviation, 1e-6)
show(
    plot_predicted_spread(spreads, SCALE_RANGE),
    "spread",
    "Predicted spread of the losses that give a distribution.",
)
