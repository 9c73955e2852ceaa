"""Expressive leaky memory (ELM) neurons: exact, and fast on CPUs and GPUs."""

from utils.models.elm.neuron import ELMState, ELMTrace, ELMv1, ELMv2

__all__ = ["ELMState", "ELMTrace", "ELMv1", "ELMv2"]
