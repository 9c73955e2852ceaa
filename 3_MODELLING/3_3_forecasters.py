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
# # Forecasters
#
# Linear layers, mixers and transformers on one recording, each scored on the same windows beside
# the same baselines. Most of them correct a linear forecast (`model.skip`), so that what they gain
# is what a linear model cannot see.
#
# The default here is two of them, for a moment. All of them, as long as it takes:
#
# ```
# python -m utils.batch run 3_3_forecasters -p session sample overrides "[]" seeds "[0, 1, 2]" \
#     models "[dlinear, nlinear, rlinear, tsmixer, patchtst, itransformer, autoformer, informer,
#     population_network]"
# ```

# %% tags=["parameters"]
session = "small"
experiment = "forecasting"
overrides = ["trainer=quick"]
models = ["tsmixer", "population_network"]
seeds = [0]
closed_form = ["exponential", "linear"]
covariates = "population_ridge"
rate = None
run_dir = ""
seed = 0

# %%
import matplotlib.pyplot as plt
import pandas as pd

from utils.batch import RunFolder
from utils.config import load_config
from utils.evaluation import (
    average_seeds,
    compare,
    describe,
    fitted_baseline,
    leaderboard,
    open_oracle,
    score_forecasts,
)
from utils.load_meso_session import open_session
from utils.models.forecasting import ForecastingConfig, build_forecaster, configured
from utils.plots import mark_simulated, use_style
from utils.plots.calibration import plot_calibration
from utils.plots.forecasting import (
    plot_leaderboard,
    plot_oracle_fraction,
    plot_skill_by_area,
    plot_skill_by_horizon,
)
from utils.preprocessing import preprocess
from utils.windows import load_windows

use_style()
run = RunFolder(run_dir)
configs = {
    name: load_config(experiment, [*overrides, f"model={name}"], ForecastingConfig)
    for name in models
}
windows = load_config(experiment, overrides, ForecastingConfig).windows
recording = open_session(session, rate=rate)
data = load_windows(preprocess(recording, progress=False), windows.context, windows.horizon)


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, data.source == "simulated"), name, caption)
    plt.show()


data

# %% [markdown]
# ## Train
#
# Early stopping on the validation block; the weights of the best epoch are kept. In a run, the
# first seed of each model is saved in `models/`, for the comparison and for other sessions.

# %%
trained = {
    name: [configured(config, seed=one, progress=False).fit(data) for one in seeds]
    for name, config in configs.items()
}
if run.folder:
    for name, fits in trained.items():
        fits[0].save(run.folder / "models" / name)
costs = pd.DataFrame(
    {
        name: {
            "parameters": sum(p.numel() for p in fits[0].network.parameters()),
            "epochs": fits[0].training.epochs,
            "seconds": round(fits[0].training.seconds, 1),
        }
        for name, fits in trained.items()
    }
).T
run.save_table(costs, "costs", f"Size and training time on {data.n_neurons} cells; first seed.")
costs[["parameters", "epochs"]].astype(int)

# %% [markdown]
# ## Score
#
# The mean squared errors of several seeds are averaged. On a simulated session the truth is known,
# and `of_oracle` is the part of the way from the context mean to a forecast that knows the rates,
# the hidden fluctuations and the calcium at the last context frame.

# %%
oracle = open_oracle(recording, data)
names = ["mean", *closed_form, "ar16", "population_ridge"]
scores = {
    name: score_forecasts(fitted_baseline(name, data), data, oracle=oracle, seed=seed)
    for name in names
}
for name, fits in trained.items():
    seeded = [score_forecasts(fit, data, oracle=oracle, seed=seed) for fit in fits]
    scores[name] = average_seeds(seeded)
board = leaderboard(scores.values())
run.save_table(board, "leaderboard", f"Forecasters on {data.n_neurons} cells ({data.source}).")
run.save_metrics({row["model"]: row.dropna().to_dict() for _, row in board.iterrows()})
columns = ["model", "n_seeds", "mse", "r2", "auprc", "crps", "coverage_80"]
columns += [f"over_{name}_skill" for name in ("mean", "ar16", "population_ridge")]
board[[*columns, *board.columns.intersection(["of_oracle"]), "verdict"]].round(4)

# %% tags=["nbval-check-output"]
print(f"{data.source} data, {data.n_neurons} cells, n = {len(data.test)} test windows")
print(f"AR16: skill over the mean {scores['ar16'].summary()['over_mean_skill']:+.3f}")

# %%
show(
    plot_leaderboard(board, ["mean", "ar16", "population_ridge"]),
    "forecasters",
    f"Skill over three references, all frames ahead together; {data.n_neurons} cells.",
)

# %%
for name in trained:
    print(f"{name} over population_ridge: {compare(scores[name], scores['population_ridge'])}")

# %% [markdown]
# ## By time ahead

# %%
frames = pd.concat([result.to_frame() for result in scores.values()], ignore_index=True)
run.save_table(frames, "scores", "One row per model, frame ahead and baseline.")
show(
    plot_skill_by_horizon(frames[frames["model"] != "mean"], ["mean", "ar16"]),
    "skill_by_horizon",
    "Skill by time ahead over the context mean and over AR16.",
)

# %%
if oracle is not None:
    show(
        plot_oracle_fraction(frames[frames["model"] != "mean"]),
        "oracle_fraction",
        "Part of the way from the context mean to the forecast that knows the truth.",
    )

# %% [markdown]
# ## By area

# %%
show(
    plot_skill_by_area({n: one.per_neuron for n, one in scores.items() if n != "mean"}),
    "skill_by_area",
    "Skill of single cells over the context mean and over AR16, by area.",
)

# %% [markdown]
# ## How sure?
#
# Every model is scored as a distribution: its own where it has one (`model.head=student_t`), else
# its forecast with the residuals of the validation block around it. Calibrated means on the line.

# %%
show(
    plot_calibration(
        pd.concat([scores[name].reliability() for name in ("population_ridge", *trained)]),
        frames[frames["model"].isin(["population_ridge", *trained])],
    ),
    "calibration",
    "Share of the truth below each predicted quantile, and coverage of central intervals.",
)

# %% [markdown]
# ## Does behaviour help?
#
# The same closed-form model with the past of wheel, stimulus and trial phase as further inputs;
# validation decides how much they count.

# %%
if data.covariates is not None:
    with_behaviour = build_forecaster(covariates, covariates=True).fit(data)
    helped = score_forecasts(with_behaviour, data, oracle=oracle, seed=seed)
    print(f"{covariates} with behaviour, over the same without it:")
    print(compare(helped, scores[covariates]))

# %%
print(describe(scores[board["model"][0]]))
