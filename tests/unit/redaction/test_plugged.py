"""Detectors that others bring along."""

import pytest

from penstock.detect import Engine, Finding
from penstock.errors import StartError
from penstock.redaction import plugged


class Names:
    name = "names"
    version = "1"

    def find(self, text):
        at = text.find("Zaphod")
        return [Finding(at, at + 6, "PERSON", "names", "1", False, 0.9)] if at >= 0 else []


class Broken:
    def __init__(self):
        raise RuntimeError("no model")


class Point:
    """An entry point as importlib gives it."""

    def __init__(self, kind):
        self.name = kind.__name__
        self._kind = kind

    def load(self):
        return self._kind


@pytest.fixture
def installed(monkeypatch):
    def install(*kinds):
        monkeypatch.setattr(plugged, "entry_points", lambda group: [Point(kind) for kind in kinds])

    return install


def test_without_any_there_is_none():
    assert plugged.plugged_detectors() == ()


def test_one_that_is_installed_finds_what_rules_can_not(installed):
    installed(Names)
    engine = Engine(detectors=plugged.plugged_detectors())
    assert [(found.type, found.start) for found in engine.find("so Zaphod went")] == [("PERSON", 3)]


def test_one_that_can_not_be_made_ends_the_start(installed):
    installed(Broken)
    with pytest.raises(StartError, match="detector Broken: RuntimeError: no model"):
        plugged.plugged_detectors()
