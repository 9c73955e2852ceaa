"""A digital twin of visual cortex: one core for all recordings, one readout for each."""
