"""Names of VIMH folders: ``vimh-32x32x1_8000Hz_1p0s_16384dss_simple_2p_envelopes_shuffled``.

Height x width x channels, sample rate, duration with ``p`` for the point, number of samples, kind
of synthesiser, number of parameters that vary; then what else was done to the images.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

NAME = re.compile(
    r"vimh-(?P<height>\d+)x(?P<width>\d+)x(?P<channels>\d+)(?!\d)"
    r"(?:_(?P<sample_rate>\d+(?:\.\d+)?)Hz_(?P<duration>\d+(?:p\d+)?)s_(?P<total_samples>\d+)dss"
    r"_.+?_(?P<varying_parameters>\d+)p(?P<images>_temporal|_spectral|_envelopes|_normalized)?"
    r"(?=_|$))?"
)
CHANNELS = {"_temporal": 2, "_spectral": 2, "_envelopes": 3, "_normalized": 3}  # per plain one


def dataset_name(metadata: Mapping[str, Any], images: str = "", shuffled: bool = False) -> str:
    """Name of the folder of a data set, of the entries of its JSON file.

    Parameters
    ----------
    images : what was done to them, see :func:`image_suffix`.
    """
    size = "{height}x{width}x{channels}".format_map(metadata)
    duration = f"{metadata['duration']}s".replace(".", "p")
    samples = f"{metadata['total_samples']}dss"
    made = f"{metadata['synth_type']}_{len(metadata['parameter_names'])}p"
    end = images + ("_shuffled" if shuffled else "")
    return f"vimh-{size}_{metadata['sample_rate']}Hz_{duration}_{samples}_{made}{end}"


def image_suffix(temporal: bool, spectral: bool, normalized: bool) -> str:
    """The part of a name that says which envelopes stand beside an image.

    One envelope alone has the same name whether the image is normalized or not.
    """
    if temporal and spectral:
        return "_normalized" if normalized else "_envelopes"
    return "_temporal" * temporal + "_spectral" * spectral


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
