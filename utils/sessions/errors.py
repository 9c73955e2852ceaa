"""Errors of reading recordings: each names what is wrong, where, and the way out."""


class SessionError(ValueError):
    """A recording that cannot be read as asked."""


class SessionNotFoundError(SessionError, FileNotFoundError):
    """A recording, file or data set that is not there."""
