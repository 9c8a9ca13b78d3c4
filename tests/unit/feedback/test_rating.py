"""What a client may send as feedback, and how it is told what is wrong."""

import pytest
from multidict import CIMultiDict

from penstock.errors import Refusal
from penstock.feedback.rating import rating_of
from penstock.openai import wire_json
from penstock.openai.request import request_of


def request(body, method="POST"):
    raw = body if isinstance(body, bytes) else wire_json.encode(body)
    return request_of(method, "/v1/dac/feedback", CIMultiDict(), raw)


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ({"score": 0.25}, 0.25),
        ({"score": 0}, 0.0),
        ({"score": 1}, 1.0),
        ({"label": "good"}, 1.0),
        ({"label": "bad"}, 0.0),
    ],
)
async def test_a_score_or_a_label_is_taken(said, score):
    assert await rating_of(request({"request_id": "req_1", **said})) == ("req_1", score)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"request_id": "r", "score": 2}, "/score"),
        ({"request_id": "r", "score": -0.1}, "/score"),
        ({"request_id": "r", "score": True}, "/score"),
        ({"request_id": "r", "score": "1"}, "/score"),
        ({"request_id": "r", "score": None}, "/score"),
        ({"request_id": "r", "label": "fine"}, "/label"),
        ({"request_id": "r", "label": ["good"]}, "/label"),
        ({"request_id": "r", "label": "good", "score": 1}, "/score"),
        ({"request_id": "r"}, "/score"),
        ({"score": 1}, "/request_id"),
        ({"request_id": 7, "score": 1}, "/request_id"),
        ({"request_id": "", "score": 1}, "/request_id"),
        ({"request_id": "a b", "score": 1}, "/request_id"),
        ({"request_id": "r" * 81, "score": 1}, "/request_id"),
        ({"request_id": "r", "score": 1, "comment": "my name is Ada"}, "/comment"),
        ({"request_id": "r", "score": 1, "user": "ada"}, "/user"),
        ({"request_id": "r", "score": 1, "x" * 65: 1}, "/"),
    ],
)
async def test_what_is_wrong_is_told_with_its_place(body, pointer):
    with pytest.raises(Refusal) as told:
        await rating_of(request(body))
    assert (told.value.status, told.value.code, told.value.param) == (400, "invalid_feedback", pointer)
    assert "Ada" not in told.value.message


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"7", b"\xff", b'{"score": NaN}'])
async def test_what_is_no_object_is_refused(raw):
    with pytest.raises(Refusal) as told:
        await rating_of(request(raw))
    assert (told.value.status, told.value.code) == (400, "invalid_json")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_feedback_is_posted(method):
    with pytest.raises(Refusal) as told:
        await rating_of(request(b"", method))
    assert (told.value.status, told.value.headers) == (405, {"allow": "POST"})


async def test_a_body_that_streams_in_is_read_up_to_its_limit():
    taken = 0

    async def parts(piece, count):
        nonlocal taken
        for _ in range(count):
            taken += 1
            yield piece

    asked = request(b"")
    asked.upload = parts(b" ", 3)
    with pytest.raises(Refusal, match="JSON"):
        await rating_of(asked)
    asked.upload, taken = parts(b"x" * 1000, 10_000), 0
    with pytest.raises(Refusal) as told:
        await rating_of(asked)
    assert (told.value.status, taken) == (413, 5)
