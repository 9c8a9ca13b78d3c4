import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for audit_house; importlib mode puts no folder there

from penstock.testing import FrozenClock


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "audit"
