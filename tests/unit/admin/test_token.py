"""The admin API's token: made once, private, and compared whole."""

import base64
import os

import pytest

from penstock.admin.token import Token
from penstock.errors import StartError


@pytest.fixture
def token(tmp_path):
    return Token(tmp_path)


def write(token, text, mode=0o600):
    token.path.write_text(text, encoding="utf-8")
    token.path.chmod(mode)


def test_it_is_made_with_256_bits_for_the_user_alone(token, tmp_path):
    made = token.read()
    assert len(base64.urlsafe_b64decode(made + "=")) == 32
    assert token.path.stat().st_mode & 0o777 == 0o600
    assert token.path.read_text() == made + "\n"
    assert [path.name for path in tmp_path.iterdir()] == ["admin.token"]


def test_two_gateways_have_one_token(token, tmp_path):
    assert token.read() == token.read() == Token(tmp_path).read()


def test_two_folders_have_two(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    assert Token(tmp_path / "a").read() != Token(tmp_path / "b").read()


def test_whoever_makes_it_first_has_made_it(token, monkeypatch):
    """Another process makes the token between our look and our link."""
    link = os.link

    def late(source, target):
        write(token, "theirs-" + "x" * 40)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert token.read() == "theirs-" + "x" * 40
    assert [path.name for path in token.path.parent.iterdir()] == ["admin.token"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_one_that_others_may_read_is_refused(token, mode):
    token.read()
    token.path.chmod(mode)
    with pytest.raises(StartError, match=r"others may read it; run: chmod 600 .*admin\.token"):
        token.opens("Bearer x")


@pytest.mark.parametrize("text", ["", "\n", "short", "x" * 31])
def test_one_that_can_be_guessed_is_refused(token, text):
    write(token, text)
    with pytest.raises(StartError, match="at least 32 characters"):
        token.opens(f"Bearer {text}")


def test_one_that_is_no_text_is_refused(token):
    write(token, "ä" * 40)
    with pytest.raises(StartError, match="one line of ASCII"):
        token.read()


def test_a_folder_that_is_gone(tmp_path):
    with pytest.raises(StartError, match="No such file"):
        Token(tmp_path / "nowhere").read()


def test_it_opens(token):
    made = token.read()
    assert token.opens(f"Bearer {made}")
    assert token.opens(f"bearer  {made}")


def test_nothing_else_opens(token):
    made = token.read()
    wrong = ["", "Bearer", "Bearer ", made, f"Basic {made}", f"Bearer {made[:-1]}", f"Bearer {made}x"]
    wrong += [f"Bearer {made.swapcase()}", "Bearer \udce4", "Bearer ä"]
    assert [shown for shown in wrong if token.opens(shown)] == []


def test_a_new_one_counts_at_once(token):
    old = token.read()
    token.path.unlink()
    new = token.read()
    assert (token.opens(f"Bearer {old}"), token.opens(f"Bearer {new}")) == (False, True)
