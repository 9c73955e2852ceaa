"""``python -m utils.sessions find``: see :mod:`utils.sessions.find`."""

import sys

from utils.sessions.find import main

if __name__ == "__main__":
    sys.exit(main())
