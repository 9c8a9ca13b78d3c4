"""A client's rating as it comes: `{"request_id": "req_…", "score": 0.8}`, or with a label in its place."""

import re
from collections.abc import Mapping
from typing import Final

from penstock.errors import Refusal
from penstock.openai.request import Request, parse_body

_LABELS: Final[Mapping[str, float]] = {"good": 1.0, "bad": 0.0}
_KEYS: Final = ("request_id", "score", "label")
_ID: Final = re.compile(r"[\w.:-]{1,80}", re.ASCII)
_MOST_BYTES: Final = 4096
_LONGEST_KEY: Final = 64


async def rating_of(request: Request) -> tuple[str, float]:
    """Read the request id and a score from 0 to 1. Raises Refusal (400, 405, 413), which says where."""
    if request.method != "POST":
        raise Refusal(405, "method_not_allowed", "Feedback is sent by POST.", headers={"allow": "POST"})
    body = parse_body(await _read(request))
    for key in body:
        if key == "comment":
            raise _wrong(key, "comments are not taken, since they may hold personal data")
        if key not in _KEYS:
            shown = key if key.isprintable() and len(key) <= _LONGEST_KEY else ""
            raise _wrong(shown, "there are only request_id, and score or label")
    request_id = body.get("request_id")
    if not isinstance(request_id, str) or not _ID.fullmatch(request_id):
        raise _wrong("request_id", "it is the answer's x-request-id")
    if ("score" in body) == ("label" in body):
        raise _wrong("score", "give either a score or a label")
    if "label" in body:
        label = body["label"]
        if not isinstance(label, str) or label not in _LABELS:
            raise _wrong("label", "it is 'good' or 'bad'")
        return request_id, _LABELS[label]
    score = body["score"]
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise _wrong("score", "it is a number from 0 to 1")
    return request_id, float(score)


async def _read(request: Request) -> bytes:
    """Take the body, which the door passes on as it comes."""
    if request.upload is None:
        raw = request.raw
    else:
        raw = b""
        async for part in request.upload:
            raw += part
            if len(raw) > _MOST_BYTES:
                break
    if len(raw) > _MOST_BYTES:
        raise Refusal(413, "request_too_large", f"Feedback has at most {_MOST_BYTES} bytes.")
    return raw


def _wrong(key: str, why: str) -> Refusal:
    pointer = f"/{key}"
    return Refusal(400, "invalid_feedback", f"{pointer}: {why}.", param=pointer)
