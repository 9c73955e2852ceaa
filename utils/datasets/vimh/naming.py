"""Names of VIMH folders: ``vimh-32x32x1_8000Hz_1p0s_16384dss_simple_2p_envelopes_shuffled``.

Height x width x channels, sample rate, duration with ``p`` for the point, number of samples, kind
of synthesiser, number of parameters that vary; then what else was done to the images.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NAME = re.compile(
    r"vimh-(?P<height>\d+)x(?P<width>\d+)x(?P<channels>\d+)(?!\d)"
    r"(?:_(?P<sample_rate>\d+(?:\.\d+)?)Hz_(?P<duration>\d+(?:p\d+)?)s_(?P<total_samples>\d+)dss"
    r"_.+?_(?P<varying_parameters>\d+)p(?P<images>_temporal|_spectral|_envelopes|_normalized)?"
    r"(?=_|$))?"
)
CHANNELS = {"_temporal": 2, "_spectral": 2, "_envelopes": 3, "_normalized": 3}  # per plain one


@dataclass(frozen=True)
class Envelopes:
    """Which channels are made of an image, in this order behind it.

    Attributes
    ----------
    temporal : loudness over time, the same in all rows.
    spectral : mean spectrum, the same in all columns.
    normalized : the image itself is divided by both.
    """

    temporal: bool = False
    spectral: bool = False
    normalized: bool = False

    def __post_init__(self) -> None:
        """Refuse what the format has no name for."""
        if self.normalized and not self:
            raise ValueError("a normalized image needs a temporal or a spectral envelope beside it")

    def __bool__(self) -> bool:
        return self.temporal or self.spectral

    @property
    def suffix(self) -> str:
        """In the folder's name; an image with one envelope is not told from a normalized one."""
        if self.temporal and self.spectral:
            return "_normalized" if self.normalized else "_envelopes"
        return "_temporal" * self.temporal + "_spectral" * self.spectral

    @property
    def channel_labels(self) -> list[str]:
        """Of an image in grey and its envelopes."""
        labels = ["Gray_normalized" if self.normalized else "Gray"]
        labels += ["Gray_temporal_envelope"] * self.temporal
        return labels + ["Gray_spectral_envelope"] * self.spectral


def dataset_name(
    metadata: Mapping[str, Any], envelopes: Envelopes | None = None, shuffled: bool = False
) -> str:
    """Name of the folder of a data set, of the entries of its JSON file."""
    size = "{height}x{width}x{channels}".format_map(metadata)
    duration = f"{metadata['duration']}s".replace(".", "p")
    made = f"{metadata['synth_type']}_{len(metadata['parameter_names'])}p"
    done = (envelopes.suffix if envelopes else "") + ("_shuffled" if shuffled else "")
    samples = f"{metadata['total_samples']}dss"
    return f"vimh-{size}_{metadata['sample_rate']}Hz_{duration}_{samples}_{made}{done}"


def read_name(name: str) -> dict[str, float]:
    """What a folder's name says, by key of the JSON file; nothing where it is another name."""
    match = NAME.match(name)
    if match is None:
        return {}
    found = {key: text for key, text in match.groupdict().items() if text is not None}
    found.pop("images", None)
    return {key: float(text.replace("p", ".")) for key, text in found.items()}


def channels_per_image(name: str) -> int:
    """Channels that a folder's name promises for each plain one, its envelopes included."""
    match = NAME.match(name)
    return CHANNELS.get(match["images"], 1) if match else 1
