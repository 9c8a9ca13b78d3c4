"""Warnings: what is logged and posted, how it is signed, and how often it is tried."""

import asyncio
import hashlib
import hmac
import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from penstock.budget import warn as module
from penstock.budget.policy import Webhook
from penstock.budget.warn import SIGNATURE, Warner
from penstock.budget.window import Window
from penstock.errors import StartError
from unit.budget.budget_bits import applied, stand

HOOK = Webhook(url="http://hooks.invalid/x", secret="env:HOOK")


class Post:
    """Takes posts in the place of a session, and answers with the statuses in turn."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.got: list[tuple[str, bytes, dict[str, str]]] = []
        self.closed = False

    def post(self, url: str, *, data: bytes, headers: dict[str, str]) -> "Post":
        self.got.append((url, data, headers))
        return self

    async def __aenter__(self) -> "Post":
        self.status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
async def warner(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    monkeypatch.setenv("HOOK", "secret")
    warner = Warner()
    yield warner
    await warner.close()


async def told(warner: Warner, post: Post, webhook: Webhook | None = HOOK, **limit: Any) -> None:
    warner.accept(webhook)
    warner._session = post  # type: ignore[assignment]
    warner.warn("acme", stand(applied(**limit), used=850, ends=86_400.0), UTC, webhook)
    await asyncio.gather(*warner._telling)


async def test_what_is_posted_and_signed(warner: Warner):
    post = Post(204)
    await told(warner, post, window=Window.DAY, scope="project:search", model="large")
    ((url, body, headers),) = post.got
    assert url == HOOK.url
    assert json.loads(body) == {
        "event": "budget_warning",
        "tenant": "acme",
        "scope": "project:search",
        "unit": "tokens",
        "window": "day",
        "model": "large",
        "used": 850,
        "limit": 1_000,
        "resets_at": "1970-01-02T00:00:00+00:00",
    }
    expected = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert headers == {"content-type": "application/json", SIGNATURE: f"sha256={expected}"}


async def test_without_a_secret_nothing_is_signed(warner: Warner):
    post = Post(200)
    await told(warner, post, Webhook(url="http://hooks.invalid/x"))
    assert SIGNATURE not in post.got[0][2]


@pytest.mark.parametrize(
    ("statuses", "tries", "lost"),
    [((204,), 1, False), ((500, 204), 2, False), ((500,), 4, True), ((404,), 4, True)],
)
async def test_it_is_tried_again_though_not_for_ever(
    warner: Warner, statuses: tuple[int, ...], tries: int, lost: bool, caplog: pytest.LogCaptureFixture
):
    post = Post(*statuses)
    await told(warner, post)
    assert len(post.got) == tries
    assert ("could not be told" in caplog.text) is lost
    assert len({body for _, body, _ in post.got}) == 1


async def test_the_log_says_it_without_a_webhook(warner: Warner, caplog: pytest.LogCaptureFixture):
    post = Post(204)
    await told(warner, post, None)
    assert post.got == []
    assert "budget: tokens in all for tenant acme are used to 85 %" in caplog.text


async def test_a_secret_that_is_not_there_is_found_at_start(warner: Warner, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HOOK")
    with pytest.raises(StartError, match="HOOK"):
        warner.accept(HOOK)


async def test_a_secret_may_stand_in_a_file(warner: Warner, tmp_path: Path):
    (tmp_path / "secret").write_text("from a file\n")
    (tmp_path / "secret").chmod(0o600)
    post = Post(204)
    await told(warner, post, Webhook(url=HOOK.url, secret=f"file:{tmp_path / 'secret'}"))
    _, body, headers = post.got[0]
    expected = hmac.new(b"from a file", body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"sha256={expected}"


async def test_closing_stops_telling(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_AGAIN_S", 60.0)
    warner, post = Warner(), Post(500)
    warner._session = post  # type: ignore[assignment]
    warner.warn("acme", stand(used=850), UTC, Webhook(url=HOOK.url))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        await warner.close()
    assert post.closed
    assert len(post.got) == 1
