"""Where recordings come from: readers of ONE/ALF, suite2p and HDF5; regions, behaviour, clock.

The front door is :mod:`utils.load_meso_session`; ``python -m utils.sessions find`` searches.
"""

from utils.sessions.availability import Availability
from utils.sessions.behaviour import wheel_velocity
from utils.sessions.clock import Clock, common_clock, resample_to_clock
from utils.sessions.errors import SessionError, SessionNotFoundError
from utils.sessions.fov import FieldsOfView, FOVData
from utils.sessions.hdf5 import SessionFile
from utils.sessions.lookup import local_one, server_one
from utils.sessions.npy import open_npy
from utils.sessions.regions import region_table
from utils.sessions.safe_pickle import load_object_npy

__all__ = [
    "Availability",
    "Clock",
    "FOVData",
    "FieldsOfView",
    "SessionError",
    "SessionFile",
    "SessionNotFoundError",
    "common_clock",
    "load_object_npy",
    "local_one",
    "open_npy",
    "region_table",
    "resample_to_clock",
    "server_one",
    "wheel_velocity",
]
