"""mesotwin: from a mesoscope recording to forecasts, twins and connectivity, scored alike."""

import os

# Threads of OpenMP (torch, scikit-learn) that wait must sleep: spinning, they take the cores from
# other processes, and two notebooks side by side become ten times slower than one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
