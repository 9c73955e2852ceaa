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
# # Images, text and lists as sequences
#
# One layer of the same small ELM neuron reads three kinds of sequences that are no spikes: images,
# cut up in two orders; text, a character at a time; and nested lists of operations (ListOps).
#
# *All data here are simulated*, so that the notebook needs no download, and so that the best that
# is possible is known for the text. For others, replace the calls that draw them:
#
# - images: `read_images("mnist", fetch_images("mnist"))`, also `fashion_mnist`, `cifar10` and
#   `cifar100`, or a folder with their published files;
# - text: `tokenise(read_text("my.txt"))`, or `read_text(fetch_wikitext())`; tokens can be words or
#   byte pairs, too;
# - long-range tasks: `draw_listops()` with its defaults, `draw_pathfinder()`, `read_byte_text()`.

# %% tags=["parameters"]
orders = ["row", "hilbert"]
patch = [4, 4]
n_images = 2000
n_words = 30000
n_expressions = 8000
num_memory = 50
image_epochs = 10
text_epochs = 6
list_epochs = 6
seed = 0
run_dir = ""

# %%
import math
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from utils.batch import RunFolder
from utils.datasets.examples import without_common_padding
from utils.datasets.examples_module import ExamplesDataModule
from utils.datasets.images import read_images, write_images_like
from utils.datasets.long_range import draw_listops
from utils.datasets.long_range.listops import VOCABULARY
from utils.datasets.markov_text import draw_grammar
from utils.datasets.text import TextParts, tokenise
from utils.metrics.classification import accuracy_table
from utils.metrics.ngrams import ngram_bits
from utils.models.elm import ELMNetwork
from utils.models.elm.classification import SequenceClassificationTask, classify
from utils.models.elm.language import LanguageModelTask, parallel_streams
from utils.models.elm.sequences import sequentialise
from utils.paths import data_dir
from utils.plots import mark_simulated, use_style
from utils.plots.sequences import plot_bits_per_character, plot_readings
from utils.plots.spoken_digits import plot_accuracies
from utils.training import TrainerConfig, fit_task

use_style()
run = RunFolder(run_dir)


def network(num_input, num_output, front, tau_max, tau_b=1.0, num_channels=None):
    torch.manual_seed(seed)
    layer = {"num_memory": num_memory, "memory_tau_max": tau_max, "tau_b_value": tau_b}
    return ELMNetwork(num_input, [{**layer, "num_output": num_output}], front, num_channels)


def fit(task_class, model, train, validation, epochs, **options):
    config = TrainerConfig(max_epochs=epochs, patience=epochs, learning_rate=1e-2, seed=seed)
    return fit_task(task_class(model, config, **options), train, validation, config).curves


def show(figure, name, caption):
    run.save_figure(mark_simulated(figure), name, caption)
    plt.show()


# %% [markdown]
# ## Images in two orders
#
# Digits of seven strokes, at random places and of random size and slant. In each step the neuron
# hears a patch; the order decides what comes when, and the answer is what it says after the last
# patch. A Hilbert curve keeps patches together that are neighbours in the image.

# %%
folder = write_images_like(
    data_dir() / "images_simulated", n_train=n_images, n_test=500, size=20, seed=seed
)
images = read_images("mnist", folder, seed=seed)
print(images)
grid = torch.stack(torch.meshgrid(*[torch.arange(20.0)] * 2, indexing="ij"))[None]  # row, column
readings = {
    order: sequentialise(grid, order, tuple(patch))[0].unflatten(1, (2, -1)).mean(dim=2)
    for order in orders
}
show(
    plot_readings(images.test.inputs[0, 0], readings),
    "readings",
    f"In which order the patches of an image are heard, for a simulated image of a "
    f"{images.class_names[images.test.labels[0]]}.",
)

# %%
answers = {}
for order, places in readings.items():
    data = ExamplesDataModule(
        images, partial(sequentialise, order=order, patch=tuple(patch)), seed=seed
    )
    model = network(math.prod(patch), 10, "projection", 2.0 * len(places), 2.0, num_channels=16)
    loaders = data.train_dataloader(), data.val_dataloader()
    fit(SequenceClassificationTask, model, *loaders, image_epochs)
    answers[f"ELM, {order}"] = classify(model, data.test_dataloader())

# %% [markdown]
# Beside the neuron: a linear classifier of all pixels at once, and the most frequent class.
# After so short a training, rows are named better than the Hilbert curve: neighbourhoods stay
# together along it, but a digit that lies elsewhere is heard in another order.

# %%
pixels = [part.inputs.reshape(len(part.labels), -1) / 255 for part in (images.train, images.test)]
baselines = {
    "logistic regression of pixels": LogisticRegression(max_iter=500),
    "most frequent class": DummyClassifier(),
}
for name, classifier in baselines.items():
    classifier.fit(pixels[0], images.train.labels)
    answers[name] = images.test.labels, classifier.predict(pixels[1])
image_table = accuracy_table(answers, baselines)
run.save_table(image_table, "images", f"n = {len(pixels[1])} simulated test images.")
show(
    plot_accuracies(image_table, chance=0.1, n_examples=len(pixels[1])),
    "image_accuracy",
    f"Right answers for simulated digits, n = {len(pixels[1])} test images.",
)

# %% [markdown]
# ## Text with a known entropy
#
# The next word of this language depends on the word before it alone, with known probabilities. No
# model can need fewer bits per character than these do. To come near, the neuron must remember the
# word before and what of the present one it has read.

# %%
grammar = draw_grammar(seed=seed)
written = grammar.text(n_words, seed)
borders = [round(share * len(written)) for share in (0.8, 0.9)]
parts = TextParts(written[: borders[0]], written[slice(*borders)], written[borders[1] :])
text = tokenise(parts)
print(written[:70], "...")
print(f"{len(written):,} characters, {grammar.entropy_rate:.3f} bits each in the long run")

model = network(text.num_tokens, text.num_tokens, "one_hot", tau_max=30.0)
train, validation = (
    DataLoader(parallel_streams(part.ids, n_streams, 50), batch_size=None)
    for part, n_streams in ((text.train, 32), (text.validation, 8))
)
curves = fit(LanguageModelTask, model, train, validation, text_epochs, carry_state=True)

# %%
references = {"truth": grammar.bits_per_character(parts.validation)}
for n, name in ((1, "single characters"), (2, "pairs"), (4, "four in a row")):
    references[name] = ngram_bits(text.train.ids, text.validation.ids, n, text.num_tokens)
show(
    plot_bits_per_character(curves, references, len(parts.validation)),
    "text",
    "Bits per character of the simulated text after each epoch, beside the true probabilities "
    "(truth) and frequencies of one, two and four characters in a row.",
)

# %%
tokens = text.test.ids.long()[None]
with torch.no_grad():
    bits = cross_entropy(model(tokens[:, :-1])[0], tokens[0, 1:]).item() / math.log(2)
truth = grammar.bits_per_character(parts.test)
pairs = ngram_bits(text.train.ids, text.test.ids, 2, text.num_tokens)
print(f"test text: {bits:.3f} bits per character, truth {truth:.3f}, pairs {pairs:.3f}")

# %% [markdown]
# What the neuron writes by itself, each character drawn with the probability that it gives it.

# %%
torch.manual_seed(seed)
token, state, drawn = tokens[:, :1], None, []
with torch.no_grad():
    for _ in range(600):
        trace = model.run(token, state)
        state = trace.state
        token = trace.output[:, -1].softmax(dim=1).multinomial(1)
        drawn.append(token.item())
said = text.tokeniser.decode(drawn)
words = said.split(" ")[1:-1]
real = np.mean([word in grammar.words for word in words])
print(said[:70], "...")
print(f"{real:.0%} of {len(words)} words are words of the language")

# %% [markdown]
# ## ListOps
#
# `[MAX 2 9 [MIN 4 7 ] 0 ]` is 9: here expressions of 4 to 16 tokens, no two of them equal. Beside
# the neuron, a linear classifier that knows how often each token occurs, but not where, and the
# most frequent value.

# %%
lists = draw_listops(
    n_expressions, 500, 1000, length=(4, 16), max_depth=3, max_arguments=4, seed=seed
)
example = lists.test.inputs[0]
print(" ".join(VOCABULARY[token] for token in example[example > 0]), "=", lists.test.labels[0])
data = ExamplesDataModule(lists, without_common_padding, batch_size=64, seed=seed)
model = network(lists.num_tokens, 10, "one_hot", tau_max=50.0)
fit(SequenceClassificationTask, model, data.train_dataloader(), data.val_dataloader(), list_epochs)

# %%
counts = [
    (part.inputs[:, :, None] == np.arange(1, lists.num_tokens)).sum(axis=1)
    for part in (lists.train, lists.test)
]
answers = {"ELM": classify(model, data.test_dataloader())}
baselines = {
    "logistic regression of counts": LogisticRegression(max_iter=500),
    "most frequent value": DummyClassifier(),
}
for name, classifier in baselines.items():
    classifier.fit(counts[0], lists.train.labels)
    answers[name] = lists.test.labels, classifier.predict(counts[1])
list_table = accuracy_table(answers, baselines)
run.save_table(list_table, "listops", f"n = {len(counts[1]):,} simulated test expressions.")
show(
    plot_accuracies(list_table, chance=0.1, n_examples=len(counts[1])),
    "listops_accuracy",
    f"Right values of short expressions, n = {len(counts[1]):,} test expressions.",
)

# %% tags=["nbval-check-output"]
accuracies = {"images": image_table["accuracy"], "lists": list_table["accuracy"]}
run.save_metrics(
    {
        "source": "simulated",
        **{name: accuracy.to_dict() for name, accuracy in accuracies.items()},
        "bits_per_character": {"ELM": bits, "truth": truth, "pairs": pairs},
    }
)
rows = image_table.loc[f"ELM, {orders[0]}", "low"]
print(
    "images: beats a linear classifier:",
    rows > image_table["high"]["logistic regression of pixels"],
)
print("text: near the truth, and not below it:", truth - 0.005 < bits < truth + 0.1)
known = list_table["high"]["logistic regression of counts"]
print("lists: beats counting tokens:", list_table["low"]["ELM"] > known)
