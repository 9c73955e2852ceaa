"""History: what the cells' own past responses add to their drive."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from utils.models.v1_twin.activations import build_activation
from utils.models.v1_twin.config import HistoryConfig


class History(nn.Module):
    """A network of the last ``lags`` responses of all cells of a data set.

    The bin that is predicted is never among them; before the first response there are zeros.
    """

    def __init__(self, config: HistoryConfig, n_cells: int) -> None:
        super().__init__()
        self.lags = config.lags
        widths = (n_cells, *config.hidden, n_cells)
        layers: list[nn.Module] = []
        for place, (before, after) in enumerate(pairwise(widths)):
            layer = nn.Conv1d(before, after, config.lags if place == 0 else 1)
            layers.append(spectral_norm(layer) if config.spectral_norm else layer)
            layers.append(build_activation(config.activation))
        self.network = nn.Sequential(*layers[:-1])

    def forward(self, responses: Tensor, n_bins: int) -> Tensor:
        """Responses (batch, frame, cell) -> drive of the last bins (batch, bin, cell)."""
        missing = n_bins + self.lags - responses.shape[1]
        known = functional.pad(responses.mT, (max(missing, 0), 0))
        return self.network(known[..., -(n_bins + self.lags) : -1]).mT
