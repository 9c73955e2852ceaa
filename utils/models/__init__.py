"""Model families. A family sees arrays and windows, never sessions, and never another family.

``folders`` is shared: how a trained model is kept.
"""
