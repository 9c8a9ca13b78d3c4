"""What the tests of the command line share: policies of their own, and a way to run a verb."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from penstock.cli import main
from penstock.settings import shipped_policies


@dataclass(frozen=True)
class Told:
    """How a verb ended, and what it said."""

    code: int
    out: str
    err: str


Run = Callable[..., Told]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without PENSTOCK_ variables."""
    monkeypatch.chdir(tmp_path)
    for name in "POLICIES STATE STORE UPSTREAM STAGE_DIR LISTEN ADMIN UI LOG_LEVEL".split():
        monkeypatch.delenv(f"PENSTOCK_{name}", raising=False)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a verb in this process."""

    def verb(*words: str) -> Told:
        try:
            code = main(words)
        except SystemExit as ended:  # argparse's way
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return Told(code, said.out, said.err)

    return verb


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A copy of the shipped policies, to be changed."""
    return Path(shutil.copytree(shipped_policies(), tmp_path / "policies"))
