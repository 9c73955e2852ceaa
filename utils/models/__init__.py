"""Model families. A family sees arrays and windows, never sessions, and never another family."""
