"""The detection room: text in, findings out. It does no I/O and knows nothing of requests."""

from penstock.detect.config import DetectConfig, PatternRefused, UserPattern
from penstock.detect.engine import Engine, TooManyFindings
from penstock.detect.finding import Detector, Finding

__all__ = [
    "DetectConfig",
    "Detector",
    "Engine",
    "Finding",
    "PatternRefused",
    "TooManyFindings",
    "UserPattern",
]
