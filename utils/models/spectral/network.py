"""The whole model: front end, network, inputs beside the image, and a head per parameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from utils.config import near_matches
from utils.models.spectral.config import SpectralConfig
from utils.models.spectral.convnet import CNN
from utils.models.spectral.convnext import ConvNeXt
from utils.models.spectral.dense import Dense
from utils.models.spectral.front_ends import build_front_end
from utils.models.spectral.heads import Head, HeadPrediction, n_outputs, read_head
from utils.models.spectral.losses import head_loss
from utils.models.spectral.shapes import ImageShape
from utils.models.spectral.vit import ViT

NETWORKS = {"cnn": CNN, "vit": ViT, "convnext": ConvNeXt, "dense": Dense}


# images (batch, channel, frequency, time) or sounds (batch, sample); auxiliary inputs (batch, A);
# labels and values (batch, head): such as utils.datasets.vimh.SpectralBatch
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


class SpectralNetwork(nn.Module):
    """Says of an image, or a sound, the parameters that it was made of.

    Parameters
    ----------
    config : its loss decides how many outputs a head has.
    image_shape : channels, height (frequency) and width (time) of images.
    heads : what is to be said.
    n_auxiliary : numbers beside the image, which pass a hidden layer of their own.

    Raises
    ------
    ValueError
        No or two equal heads, weights of unknown heads, or images that do not fit the network.
    """

    def __init__(
        self,
        config: SpectralConfig,
        image_shape: ImageShape,
        heads: Sequence[Head],
        n_auxiliary: int = 0,
    ) -> None:
        super().__init__()
        _check_heads(config, heads)
        self.config, self.heads = config, tuple(heads)
        self.image_shape, self.n_auxiliary = tuple(image_shape), n_auxiliary
        self.front_end = build_front_end(config.front_end, self.image_shape)
        self.network = NETWORKS[config.network.type](config.network, self.image_shape)
        n_features = self.network.n_features
        self.beside = None
        if n_auxiliary:
            hidden = config.auxiliary_hidden
            self.beside = nn.Sequential(
                nn.Linear(n_auxiliary, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
            )
            n_features += hidden
        loss = config.loss.type
        self.out = nn.ModuleList(nn.Linear(n_features, n_outputs(head, loss)) for head in heads)

    def forward(self, inputs: Tensor, auxiliary: Tensor | None = None) -> list[Tensor]:
        """Outputs (batch, n_outputs) of each head.

        Parameters
        ----------
        inputs : (batch, channel, frequency, time) images from 0 to 1; for front ends of sounds,
            (batch, sample).
        auxiliary : (batch, n_auxiliary), where the model was built for it.
        """
        images = self.front_end(inputs)
        if images.shape[1:] != self.image_shape:
            raise ValueError(
                f"images must be (batch, {', '.join(map(str, self.image_shape))}), found "
                f"{tuple(images.shape)}"
            )
        features = self.network(images)
        if self.beside is not None:
            features = torch.cat([features, self.beside(self._checked(auxiliary))], dim=1)
        return [out(features) for out in self.out]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """``loss``, the weighted sum over heads, and the loss of each by name."""
        inputs, auxiliary, labels, values = batch
        outputs = self(inputs, auxiliary)
        each = {
            head.name: head_loss(self.config.loss, head, output, labels[:, i], values[:, i])
            for i, (head, output) in enumerate(zip(self.heads, outputs))
        }
        weights = self.config.head_weights
        total = sum(weights.get(name, 1.0) * loss for name, loss in each.items())
        return {"loss": total, **each}

    @torch.no_grad()
    def predict(self, batches: Iterable[Batch]) -> dict[str, HeadPrediction]:
        """What the model says of all samples, by the name of the head; labels are not looked at.

        Raises
        ------
        ValueError
            There are no batches.
        """
        was_training, device = self.training, next(self.parameters()).device
        self.eval()
        outputs = [
            self(inputs.to(device), auxiliary.to(device)) for inputs, auxiliary, *_ in batches
        ]
        self.train(was_training)
        if not outputs:
            raise ValueError("no batches to predict: the data set has no such samples")
        loss = self.config.loss.type
        return {
            head.name: read_head(head, loss, torch.cat(of_head))
            for head, of_head in zip(self.heads, zip(*outputs))
        }

    @property
    def n_parameters(self) -> int:
        """Numbers that are learned."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def save(self, folder: str | Path, **about: Any) -> Path:
        """Keep the model in a folder; :func:`utils.models.spectral.load_model` brings it back."""
        from utils.models.spectral.store import save_model

        return save_model(self, folder, **about)

    def _checked(self, auxiliary: Tensor | None) -> Tensor:
        found = 0 if auxiliary is None else auxiliary.shape[1]
        if found != self.n_auxiliary:
            raise ValueError(
                f"the model needs {self.n_auxiliary} auxiliary inputs, found {found}; give the "
                "data module the auxiliary inputs of the training"
            )
        return auxiliary


def build_network(
    config: SpectralConfig,
    image_shape: ImageShape,
    heads: Sequence[Head],
    n_auxiliary: int = 0,
) -> SpectralNetwork:
    """A model with fresh weights, which the seed of the training decides."""
    with torch.random.fork_rng():
        torch.manual_seed(config.trainer.seed)
        return SpectralNetwork(config, image_shape, heads, n_auxiliary)


def _check_heads(config: SpectralConfig, heads: Sequence[Head]) -> None:
    names = [head.name for head in heads]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"a model needs heads with names of their own, found {names}")
    for name in config.head_weights:
        if name not in names:
            raise ValueError(f"head_weights: no head '{name}'{near_matches(name, names)}")
