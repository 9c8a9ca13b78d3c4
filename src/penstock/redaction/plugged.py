"""Detectors that others bring along, such as a named-entity model: entry points in `penstock.detectors`."""

from importlib.metadata import entry_points

from penstock.detect import Detector
from penstock.errors import StartError


def plugged_in() -> bool:
    """Say whether there are any; what types they find is theirs to know."""
    return bool(list(entry_points(group="penstock.detectors")))


def plugged_detectors() -> tuple[Detector, ...]:
    """Make one of each that is installed. Raises StartError for one that can't be made."""
    made = []
    for point in entry_points(group="penstock.detectors"):
        try:
            made.append(point.load()())
        except Exception as problem:
            raise StartError(f"detector {point.name}: {type(problem).__name__}: {problem}") from problem
    return tuple(made)
