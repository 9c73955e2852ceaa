"""Units of what heads say."""

from __future__ import annotations

UNITS = {
    "note_number": "semitones",
    "note_velocity": "MIDI velocity",
    "log10_decay_time": "log10 s",
    "filter_cutoff": "Hz",
    "filter_env_attack": "s",
    "filter_env_decay": "s",
    "filter_env_release": "s",
    "filter_env_amount": "octaves",
    "pluck_position": "string lengths",
}


def unit_of(name: str) -> str:
    """Unit of a parameter of the synthesisers; "1" for shares and what is not known here."""
    return UNITS.get(name, "1")
