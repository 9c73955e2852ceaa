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
# # Trials and behaviour
#
# Did the animal do the task, what did it do with its body, and which areas follow the stimulus and
# the reward?
#
# All alignments are **causal**: at each time relative to an event the value is the last one that
# was complete by then. Nothing is interpolated across the event, so activity before it cannot
# hold what came after.

# %% tags=["parameters"]
session = "small"
rate = None
run_dir = ""
seed = 0
before_s = 1.0
after_s = 3.0

# %%
import matplotlib.pyplot as plt
import numpy as np
from tqdm.auto import tqdm

from utils.batch import RunFolder
from utils.load_meso_session import open_session
from utils.metrics.behaviour import (
    align_to_events,
    event_rate,
    psychometric,
    reaction_times,
    signed_contrast,
    standard_trials,
    subtract_baseline,
)
from utils.plots import area_order, mark_simulated, use_style
from utils.plots.behaviour import (
    plot_area_responses,
    plot_around_event,
    plot_blocks,
    plot_event_rates,
    plot_psychometric,
    plot_reaction_times,
)
from utils.plots.style import BEHAVIOUR_COLORS

use_style()
run = RunFolder(run_dir)
recording = open_session(session, rate=rate)
trials = standard_trials(recording.trials)
correct, error = trials["feedbackType"] > 0, trials["feedbackType"] < 0


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure, recording.is_simulated), name, caption)
    plt.show()


recording

# %% [markdown]
# ## The task
#
# A grating appears on the left or the right, and the animal turns the wheel to bring it to the
# centre. Which side is more likely changes in blocks: an animal that uses this knowledge shifts
# its curve between blocks, most where the contrast tells little.

# %%
curve = psychometric(trials, by="probabilityLeft")
show(plot_psychometric(curve), "psychometric", "Choice by contrast and block, Wilson intervals.")

# %% tags=["nbval-check-output"]
print(f"{len(trials)} trials, {correct.sum()} correct, {error.sum()} errors")
at_zero = curve[curve["contrast"] == 0]
for row in at_zero.itertuples():
    print(
        f"P(left) {row.probabilityLeft:g}: rightward choices at contrast 0: {row.rightward:.2f} "
        f"[{row.low:.2f}, {row.high:.2f}], n = {row.n}"
    )

# %%
show(plot_blocks(trials), "blocks", "Blocks of stimulus probability, choices and performance.")

# %%
times, measured_to = reaction_times(trials)
show(
    plot_reaction_times(times, trials, measured_to),
    "reaction_times",
    f"Time from the stimulus to the {measured_to}, by contrast and outcome.",
)

# %% tags=["nbval-check-output"]
known = times[np.isfinite(times)]
if len(known):
    print(f"median time {np.median(known):.2f} s to {measured_to}, n = {len(known)} trials")

# %% [markdown]
# ## The body
#
# The wheel before and after the first movement, licks and pupil around the feedback. If licks
# start with the reward and not with the error sound, the animal knows the outcome.

# %%
fine = np.arange(-before_s, after_s, 0.02)
movement = trials["firstMovement_times"]
groups = {}
if recording.wheel_position is not None:
    wanted = movement.dropna().to_numpy()[:, None] + fine
    velocity = recording.get_aligned_wheel_velocity(wanted.ravel()).reshape(wanted.shape)
    choice = trials.loc[movement.notna(), "choice"].to_numpy()
    groups = {"left": velocity[choice == 1], "right": velocity[choice == -1]}
show(
    plot_around_event(
        groups,
        fine,
        event="first movement",
        ylabel="wheel velocity (rad/s)",
        title="Wheel, by choice",
        colors=BEHAVIOUR_COLORS,
    ),
    "wheel",
    "Wheel velocity around the first movement, mean and standard error.",
)

# %%
feedback = trials["feedback_times"]
edges = np.arange(-before_s, after_s + 0.05, 0.1)
rates = {}
if recording.licks is not None:
    rates["reward"] = event_rate(recording.licks, feedback[correct], edges)
    rates["error"] = event_rate(recording.licks, feedback[error], edges)
show(
    plot_event_rates(
        rates,
        edges,
        event="feedback",
        ylabel="licks per second",
        title="Licks, by outcome",
        colors=BEHAVIOUR_COLORS,
    ),
    "licks",
    "Lick rate around the feedback.",
)

# %%
groups = {}
if recording.pupil is not None:
    diameter, pupil_times = recording.pupil["diameter"].to_numpy(), recording.pupil["time"]
    pupil = align_to_events(diameter, pupil_times, feedback, fine, max_age=0.5)
    pupil = subtract_baseline(pupil, fine)
    groups = {"reward": pupil[correct], "error": pupil[error]}
show(
    plot_around_event(
        groups,
        fine,
        event="feedback",
        ylabel="change of diameter (px)",
        title="Pupil, by outcome",
        colors=BEHAVIOUR_COLORS,
    ),
    "pupil",
    "Pupil diameter around the feedback, less its mean before; mean and standard error.",
)

# %% tags=["nbval-check-output"]
for outcome, (licking, n_events) in rates.items():
    late = licking[(edges[:-1] >= 0) & (edges[:-1] < 1)].mean()
    print(f"licks in the second after {outcome}: {late:.1f} per second, n = {n_events} events")

# %% [markdown]
# ## Activity of the areas
#
# The mean over the cells of each area, less the mean before the event. A frame counts from the
# moment at which its last line was scanned. Bad frames and gaps are missing, not zero.

# %%
lags = np.arange(-round(before_s * recording.frame_rate), round(after_s * recording.frame_rate))
lags = lags / recording.frame_rate  # (lag,) s
unit = "dF/F" if recording.raw_activity else "activity"
stimulus = trials["stimOn_times"]
to_stimulus, to_feedback, n_cells = {}, {}, {}  # area -> sum over cells, (trial, lag)
for fov in tqdm(recording.fovs, desc="areas"):
    cells = fov.cell_indices
    activity = fov.compute_dff(rois=cells) if fov.raw_activity else fov.roi_activity[:, cells]
    complete_at = fov.timestamps + fov.roi_time_offsets.max(initial=0)
    for area, members in fov.neurons.groupby("region").indices.items():
        mean = np.where(fov.good_frame_mask, activity[:, members].mean(axis=1), np.nan)
        n_cells[area] = n_cells.get(area, 0) + len(members)
        for sums, event in [(to_stimulus, stimulus), (to_feedback, feedback)]:
            around = subtract_baseline(align_to_events(mean, complete_at, event, lags), lags)
            sums[area] = sums.get(area, 0) + len(members) * around
areas = area_order(n_cells)

# %%
contrast = signed_contrast(trials)
conditions = {
    "left 100 %": contrast == -100,
    "left 25 %": contrast == -25,
    "right 25 %": contrast == 25,
    "right 100 %": contrast == 100,
}
colors = dict(zip(conditions, ["#0072B2", "#7FB8D8", "#F0AE80", "#D55E00"]))
responses = {
    area: {name: to_stimulus[area][chosen] / n_cells[area] for name, chosen in conditions.items()}
    for area in areas
}
show(
    plot_area_responses(
        responses,
        lags,
        n_cells,
        event="stimulus",
        ylabel=f"change of {unit}",
        title="Activity around the stimulus, by side and contrast",
        colors=colors,
    ),
    "stimulus_by_area",
    f"Mean {unit} of each area around the stimulus; shading: standard error over trials.",
)

# %%
outcomes = {"reward": correct, "error": error}
after_feedback = {
    area: {name: to_feedback[area][chosen] / n_cells[area] for name, chosen in outcomes.items()}
    for area in areas
}
show(
    plot_area_responses(
        after_feedback,
        lags,
        n_cells,
        event="feedback",
        ylabel=f"change of {unit}",
        title="Activity around the feedback, by outcome",
        colors=BEHAVIOUR_COLORS,
    ),
    "feedback_by_area",
    f"Mean {unit} of each area around the feedback; shading: standard error over trials.",
)

# %% tags=["nbval-check-output"]
window = (lags > 0.2) & (lags <= 1.2)
strength = {}  # area -> mean change in the second after the stimulus, each side
for area in areas:
    strong = {"left": responses[area]["left 100 %"], "right": responses[area]["right 100 %"]}
    strength[area] = {
        side: float(np.nanmean(values[:, window])) for side, values in strong.items() if len(values)
    }
    told = ", ".join(f"{side} {value:+.3f}" for side, value in strength[area].items())
    print(f"{area} (n = {n_cells[area]} cells): change of {unit} 0.2-1.2 s: {told or 'no trials'}")

# %% [markdown]
# A response to one side only is what a visual area of one hemisphere should show; what follows
# either stimulus alike may be movement or arousal, which begin at the same time. The feedback
# figure tells these apart from reward.

# %%
run.save_metrics(
    {
        "trials": len(trials),
        "correct": float(correct.mean()) if len(trials) else None,
        "median_reaction_time_s": float(np.median(known)) if len(known) else None,
        "stimulus_response": strength,
    }
)
run.save_table(curve, "psychometric", "Choices by block and contrast, with Wilson intervals.")
