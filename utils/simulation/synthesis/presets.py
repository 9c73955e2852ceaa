"""The synthesisers by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from utils.config import ConfigError, near_matches, validate_config
from utils.signals.spectra import SpectrogramConfig
from utils.simulation.synthesis.config import ParameterRange, SynthesiserConfig


def synthesiser_config(
    config: SynthesiserConfig | Mapping[str, Any] | str, **settings: Any
) -> SynthesiserConfig:
    """A synthesiser by name or as it is, with ``settings`` in place of its own.

    Raises
    ------
    ConfigError
        An unknown synthesiser or setting, or a wrong one, named.
    """
    if isinstance(config, str):
        if config not in SYNTHESISERS:
            raise ConfigError(f"no synthesiser '{config}'{near_matches(config, [*SYNTHESISERS])}")
        config = SYNTHESISERS[config]
    given = config.model_dump() if isinstance(config, SynthesiserConfig) else dict(config)
    return validate_config(SynthesiserConfig, {**given, **settings}, where="synthesiser")


def _varies(low: float, high: float, step: float | None, description: str) -> ParameterRange:
    return ParameterRange(min=low, max=high, step=step, description=description)


def _fixed(value: float, description: str) -> ParameterRange:
    return ParameterRange(min=value, max=value, description=description)


def _note(low: float, high: float, step: float) -> ParameterRange:
    return _varies(low, high, step, "MIDI note number")


def _velocity(low: float, high: float, step: float) -> ParameterRange:
    return _varies(low, high, step, "MIDI velocity (amplitude)")


def _decay(low: float, high: float, step: float) -> ParameterRange:
    return _varies(low, high, step, "log10 of the time in s in which the sound falls to 1/e")


def _cutoff(low: float, high: float, step: float) -> ParameterRange:
    return _varies(low, high, step, "cutoff of the filter, Hz")


def _resonance(low: float, high: float, step: float) -> ParameterRange:
    return _varies(low, high, step, "resonance of the filter, 0 to 1")


_NOTE_100_HZ = _fixed(43.35, "MIDI note number (fixed at 100 Hz)")
_FILTERED = _fixed(1.0, "the filter is on")
_PITCH_SYNCHRONOUS = SpectrogramConfig()  # frames of one period of 100 Hz
_STRING = {
    "note_number": _note(36, 52, 2),
    "note_velocity": _fixed(127, "MIDI velocity (amplitude)"),
    "log10_decay_time": _decay(-1, 0.3, 0.1),
    "pluck_position": _varies(0.1, 0.5, 0.05, "where it is plucked, in lengths of the string"),
    "brightness": _varies(0, 0.9, 0.1, "0: high modes die early, 1: all modes last as long"),
}
_STRING_IMAGE = SpectrogramConfig(
    height=48, width=48, n_fft=256, n_window=256, hop_length=160, window_type="hann"
)

_ALL = (
    SynthesiserConfig(
        name="simple_saw",
        parameters={
            "note_number": _NOTE_100_HZ,
            "note_velocity": _velocity(126, 127, 0.5),
            "log10_decay_time": _decay(-2, 0.3, 0.1),
        },
        image=_PITCH_SYNCHRONOUS,
    ),
    SynthesiserConfig(
        name="moog_basic",
        parameters={
            "note_number": _NOTE_100_HZ,
            "note_velocity": _velocity(100, 127, 5),
            "log10_decay_time": _decay(-1, 0, 0.1),
            "filter_enabled": _FILTERED,
            "filter_cutoff": _cutoff(200, 2000, 100),
            "filter_resonance": _resonance(0, 0.9, 0.1),
        },
        image=_PITCH_SYNCHRONOUS,
    ),
    SynthesiserConfig(  # its images show the first 0.26 s: a release cannot be seen in them
        name="moog_envelope",
        duration=2.0,
        parameters={
            "note_number": _note(36, 60, 12),
            "note_velocity": _velocity(100, 127, 10),
            "log10_decay_time": _decay(0, 0.6, 0.15),
            "filter_enabled": _FILTERED,
            "filter_cutoff": _cutoff(80, 400, 40),
            "filter_resonance": _resonance(0.3, 0.85, 0.1),
            "filter_env_attack": _varies(0, 0.3, 0.05, "attack of the cutoff, s"),
            "filter_env_decay": _varies(0.1, 1.5, 0.1, "decay of the cutoff, s"),
            "filter_env_sustain": _varies(0, 0.6, 0.1, "level at which the cutoff stays"),
            "filter_env_release": _varies(0.1, 1.0, 0.1, "release of the cutoff, s"),
            "filter_env_amount": _varies(1, 4, 0.5, "rise of the cutoff, octaves"),
        },
        image=SpectrogramConfig(
            height=32, width=64, n_fft=128, n_window=64, hop_length=32, window_type="hann"
        ),
    ),
    SynthesiserConfig(  # amount 0: attack, decay and release change no sound
        name="moog_resonance",
        duration=1.5,
        parameters={
            "note_number": _note(40, 54, 7),
            "note_velocity": _velocity(110, 127, 5),
            "log10_decay_time": _decay(-0.5, 0.5, 0.2),
            "filter_enabled": _FILTERED,
            "filter_cutoff": _cutoff(200, 1400, 150),
            "filter_resonance": _resonance(0.5, 0.95, 0.05),
            "filter_env_attack": _varies(0, 0.01, None, "attack of the cutoff, s (no effect)"),
            "filter_env_decay": _varies(0, 0.1, None, "decay of the cutoff, s (no effect)"),
            "filter_env_sustain": _fixed(1.0, "level at which the cutoff stays"),
            "filter_env_release": _varies(0, 0.05, None, "release of the cutoff, s (no effect)"),
            "filter_env_amount": _fixed(0.0, "rise of the cutoff, octaves"),
        },
        image=SpectrogramConfig(
            height=48, width=48, n_fft=256, n_window=128, hop_length=32, window_type="hann"
        ),
    ),
    SynthesiserConfig(name="string", synth_type="plucked", parameters=_STRING, image=_STRING_IMAGE),
    SynthesiserConfig(
        name="modal_string",
        synth_type="modal",
        parameters={
            **_STRING,
            "log10_inharmonicity": _varies(-5, -3, 0.25, "log10 of the stiffness of the string"),
        },
        image=_STRING_IMAGE,
    ),
)
SYNTHESISERS: dict[str, SynthesiserConfig] = {config.name: config for config in _ALL}
