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
# # Inspect a session
#
# Look through a recording as one would through a microscope: all cells over all time, then closer.
#
# The browser reads the time pyramid of the preprocessed file, so that an hour of ten thousand
# cells appears as fast as a minute of ten. The tab key moves between controls, arrow keys move a
# slider, space presses a button. Everything can be done from Python too, and each picture has a
# static twin for the page that is reopened without a kernel.

# %% tags=["parameters"]
session = "small"
experiment = "preprocessing/default"
overrides = []
rate = None
run_dir = ""
seed = 0
trial = 12

# %%
import matplotlib.pyplot as plt

from utils.batch import RunFolder
from utils.load_meso_session import open_session
from utils.preprocessing import preprocess
from utils.widgets import SessionBrowser, View

run = RunFolder(run_dir)
path = preprocess(open_session(session, rate=rate), experiment, overrides, progress=False)
browser = SessionBrowser(path)
browser

# %% [markdown]
# ## The whole recording
#
# Rows in the order of similarity, so that cells that act together form bands. Blue: missing data.

# %%
browser.order_by("correlation")
browser.whole()
run.save_figure(browser.figure(), "whole", "The whole recording, cells sorted by similarity.")
plt.show()

# %% [markdown]
# ## Closer
#
# A minute around one trial, cells by area. The triangle on the right marks the selected cell, whose
# trace is below.

# %%
browser.order_by("area" if "region" in browser.recording.neurons else "original")
if browser.n_trials >= trial:
    browser.go_to_trial(trial)
else:
    browser.go(View(0, 300, order=browser.view.order))
browser.step_cell(3)
run.save_figure(browser.figure(), "trial", f"A minute around trial {trial}, cells by area.")
plt.show()

# %% tags=["nbval-check-output"]
print(browser)
print(f"{browser.n_trials} trials, cell {browser.view.cell} selected")

# %%
run.save_metrics({"frames": browser.recording.n_frames, "cells": browser.recording.n_neurons})
