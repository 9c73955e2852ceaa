"""What is wrong with a VIMH data set."""


class VIMHError(ValueError):
    """A damaged or contradictory data set; the message names file, record or key, and values."""
