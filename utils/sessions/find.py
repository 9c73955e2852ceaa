"""Finding sessions that are fit for modelling, on any ONE object (local cache or server).

    python -m utils.sessions find --one DATA/one --out good_sessions.csv

A session is good when it has the right task, is long enough, and at least one field of view
(FOV) is good: traces, times, bad frames and frame QC are there, no frame is bad, and it has enough
ROIs. The csv is what `MesoscopeSession.from_csv` reads; who was rejected and why goes to a second
one.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field
from tqdm.auto import tqdm

from utils.config import Config
from utils.sessions.alf import ACTIVITY, PER_ROI, TIMES, OneSource
from utils.sessions.errors import SessionError
from utils.sessions.lookup import as_record, local_one, server_one
from utils.sessions.npy import npy_shape, open_npy

logger = logging.getLogger(__name__)

GOOD_COLUMNS = [
    "eid",
    "subject",
    "date",
    "duration_hours",
    "task_protocol",
    "good_fov_count",
    "total_rois",
]
REJECTED_COLUMNS = ["eid", "subject", "date", "reason"]
SERVER_QUERY = {
    "procedures": "Imaging",
    "django": "field_of_view__imaging_type__name,mesoscope",
    "query_type": "remote",
}
_BAD_FRAMES, _FRAME_QC = "mpci.badFrames.npy", "mpci.mpciFrameQC.npy"
_NEEDED = (ACTIVITY[False], TIMES, _BAD_FRAMES, _FRAME_QC)


class SelectionRule(Config):
    """What makes a session good; the defaults are those of the published list of sessions."""

    protocols: tuple[str, ...] = ("biasedChoiceWorld", "passiveChoiceWorld")
    min_hours: float = Field(1.0, ge=0)
    min_rois: int = Field(50, ge=0, description="ROIs per FOV")
    allow_bad_frames: float = Field(
        0.0, ge=0, le=1, description="largest fraction of bad or flagged frames of a good FOV"
    )


class Search(NamedTuple):
    """Result of a search."""

    good: pd.DataFrame  # GOOD_COLUMNS, one row per session
    rejected: pd.DataFrame  # REJECTED_COLUMNS


def find_sessions(one: Any, **rule: Any) -> pd.DataFrame:
    """Good sessions of a ONE object, one row each; `rule` are fields of `SelectionRule`."""
    return search_sessions(one, SelectionRule(**rule)).good


def search_sessions(one: Any, rule: SelectionRule | None = None, progress: bool = True) -> Search:
    """Judge all imaging sessions of a ONE object: the good ones, and the others with reasons."""
    rule = rule or SelectionRule()
    good, rejected = [], []
    for eid in tqdm(_candidates(one), desc="judging", unit="session", disable=not progress):
        details = as_record(one.get_details(eid))
        row = {
            "eid": str(eid),
            "subject": str(details.get("subject", "unknown")),
            "date": str(details.get("start_time") or details.get("date", "unknown")),
        }
        try:
            good.append(row | _judge(OneSource(one, eid), details, rule))
        except _RejectedError as reason:
            logger.info("%s %s: %s", eid, row["subject"], reason)
            rejected.append(row | {"reason": str(reason)})
    return Search(
        pd.DataFrame(good, columns=GOOD_COLUMNS),
        pd.DataFrame(rejected, columns=REJECTED_COLUMNS),
    )


class _RejectedError(Exception):
    """A session or FOV that does not meet the rule; the message says why."""


def _candidates(one: Any) -> list[str]:
    """eids of mesoscope sessions: asked from a server, or all of a local cache."""
    if getattr(one, "offline", True):
        return list(one.search())
    try:
        return list(one.search(**SERVER_QUERY))
    except (ValueError, OSError) as error:  # no login, no network, a server that refuses
        raise SessionError(f"{one!r} gives no list of sessions ({error})") from error


def _judge(source: OneSource, details: dict[str, Any], rule: SelectionRule) -> dict[str, Any]:
    """What the csv says of a good session, beside eid, subject and date."""
    protocol = str(details.get("task_protocol") or "")
    if not any(wanted.lower() in protocol.lower() for wanted in rule.protocols):
        raise _RejectedError(f"task protocol '{protocol}' is none of {', '.join(rule.protocols)}")
    if not source.fov_collections:
        raise _RejectedError("no field of view (collection alf/FOV_XX)")
    hours = _duration_hours(source, details)
    if hours < rule.min_hours:
        raise _RejectedError(f"{hours:.2f} h long; at least {rule.min_hours:g} h wanted")
    rois, reasons = [], []
    for collection in source.fov_collections:
        try:
            rois.append(_judge_fov(source, collection, rule))
        except _RejectedError as reason:
            reasons.append(f"{collection.removeprefix('alf/')}: {reason}")
            logger.info("%s: %s", source.label, reasons[-1])
    if not rois:
        raise _RejectedError("; ".join(reasons))
    return {
        "duration_hours": round(hours, 6),
        "task_protocol": protocol,
        "good_fov_count": len(rois),
        "total_rois": sum(rois),
    }


def _judge_fov(source: OneSource, collection: str, rule: SelectionRule) -> int:
    """Number of ROIs of a good FOV."""
    missing = [name for name in _NEEDED if source.find(collection, [name]) is None]
    if missing:
        raise _RejectedError(f"{', '.join(missing)} missing")
    try:
        bad = np.asarray(open_npy(source.path(collection, _BAD_FRAMES))).ravel() != 0
        flagged = np.asarray(open_npy(source.path(collection, _FRAME_QC))).ravel() != 0
        n_rois = _count_rois(source, collection)
    except SessionError as error:
        raise _RejectedError(str(error)) from error
    if len(bad) != len(flagged):
        raise _RejectedError(f"{len(bad)} badFrames, but {len(flagged)} frame QC values")
    n_excluded = int((bad | flagged).sum())
    if n_excluded > rule.allow_bad_frames * len(bad):
        raise _RejectedError(
            f"{n_excluded} of {len(bad)} frames bad or flagged "
            f"(allowed fraction {rule.allow_bad_frames:g})"
        )
    if n_rois < rule.min_rois:
        raise _RejectedError(f"{n_rois} ROIs; at least {rule.min_rois} wanted")
    return n_rois


def _count_rois(source: OneSource, collection: str) -> int:
    """From a table of the ROIs (kilobytes) where there is one, else from the traces."""
    for dataset in PER_ROI:
        name = source.find(collection, dataset.names)
        if name is not None:
            return npy_shape(source.path(collection, name))[0]
    return npy_shape(source.path(collection, ACTIVITY[False]))[1]


def _duration_hours(source: OneSource, details: dict[str, Any]) -> float:
    """From the server's records, or (locally they have none) from the frame times."""
    if details.get("start_time") and details.get("end_time"):
        start, end = (pd.Timestamp(details[key]) for key in ("start_time", "end_time"))
        return (end - start).total_seconds() / 3600
    collections = [c for c in source.fov_collections if source.find(c, [TIMES])]
    if not collections:
        raise _RejectedError(f"no field of view has {TIMES}")
    try:
        times = np.asarray(open_npy(source.path(collections[0], TIMES))).ravel()
    except SessionError as error:
        raise _RejectedError(str(error)) from error
    return float(times[-1] - times[0]) / 3600 if len(times) else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: ``python -m utils.sessions find``; returns the exit code."""
    options = _parser().parse_args(arguments)
    rule = {name: getattr(options, name) for name in SelectionRule.model_fields if name in options}
    try:
        one = server_one(options.one) if "://" in options.one else local_one(options.one)
        result = search_sessions(one, SelectionRule(**rule))
    except SessionError as error:
        print(f"error: {error}")
        return 2
    rejected_path = options.out.with_name(f"{options.out.stem}_rejected{options.out.suffix}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    result.good.to_csv(options.out, index=False)
    result.rejected.to_csv(rejected_path, index=False)
    print(f"{len(result.good)} good sessions: {options.out}")
    print(f"{len(result.rejected)} rejected, with reasons: {rejected_path}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m utils.sessions")
    commands = parser.add_subparsers(dest="command", required=True)
    find = commands.add_parser("find", help="list sessions that are fit for modelling")
    find.add_argument("--one", required=True, help="ONE cache folder, or URL of an Alyx server")
    find.add_argument("--out", required=True, type=Path, help="csv to write")
    find.add_argument("--min-hours", type=float, default=1.0, help="shortest session (1.0)")
    find.add_argument("--min-rois", type=int, default=50, help="fewest ROIs of a FOV (50)")
    find.add_argument(
        "--allow-bad-frames",
        type=_fraction,
        default=0.0,
        metavar="FRACTION",
        help="largest fraction of bad or flagged frames of a FOV (0: none)",
    )
    return parser


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no fraction between 0 and 1")
    return value
