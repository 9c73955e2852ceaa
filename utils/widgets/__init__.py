"""Interactive looks at a session: pure render functions and thin controls."""

from utils.widgets.browser import SessionBrowser
from utils.widgets.recording import Recording
from utils.widgets.render import View, render

__all__ = ["Recording", "SessionBrowser", "View", "render"]
