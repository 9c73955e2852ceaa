"""mesotwin: from a mesoscope recording to forecasts, twins and connectivity, scored alike."""

__version__ = "0.1.0"
