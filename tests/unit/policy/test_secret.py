"""Secrets are read from where a policy says they stand, and shown by nobody."""

from pathlib import Path

import pytest

from penstock.errors import StartError
from penstock.policy.secret import read_secret


@pytest.mark.parametrize(
    "secret", ["", "sk-marker\nX-Injected: 1", "sk-marker\r", "sk-marker\x00", "sk-\ttab"]
)
def test_a_secret_that_no_header_can_hold_is_refused_unseen(tmp_path: Path, secret: str) -> None:
    path = tmp_path / "key"
    path.write_text(f"{secret}x" if secret else "", newline="")
    with pytest.raises(StartError) as problem:
        read_secret(f"file:{path}")
    assert str(path) in str(problem.value)
    assert "marker" not in str(problem.value)
    assert "marker" not in repr(problem.value.__cause__)


def test_a_missing_secret_is_named_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_TEST_KEY", raising=False)
    with pytest.raises(StartError, match="no variable PENSTOCK_TEST_KEY"):
        read_secret("env:PENSTOCK_TEST_KEY")
    with pytest.raises(StartError, match="FileNotFoundError"):
        read_secret(f"file:{tmp_path / 'nothing'}")
    with pytest.raises(StartError, match="IsADirectoryError"):
        read_secret(f"file:{tmp_path}")
    (tmp_path / "key").write_bytes(b"marker \xff")
    with pytest.raises(StartError) as problem:
        read_secret(f"file:{tmp_path / 'key'}")
    assert "marker" not in str(problem.value)
