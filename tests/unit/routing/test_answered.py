"""An answer that was read ahead: its JSON where it is whole, and its own bytes for the client."""

import pytest
from routing_house import raw, refuse, stream_of

from penstock import testing
from penstock.openai import wire_json
from penstock.openai.request import Endpoint
from penstock.reply import Reply, Stream
from penstock.routing.answered import Answered, Cascaded, whole


def text(answer):
    return answer["choices"][0]["message"]["content"]


async def test_a_plain_answer_goes_out_as_it_came():
    reply = testing.chat("hello")()
    answered = await Answered.of(reply, Endpoint.CHAT, 1)
    assert text(answered.answer) == "hello"
    assert answered.release() is reply


@pytest.mark.parametrize("body", [b"", b"[1]", b"{broken", b'"text"'])
async def test_what_is_no_object_is_no_answer_but_goes_out(body):
    reply = Reply(200, body=body)
    answered = await Answered.of(reply, Endpoint.CHAT, 1)
    assert (answered.answer, answered.release()) == (None, reply)


async def test_an_error_is_no_answer():
    reply = testing.chat("sorry", status=429)()
    answered = await Answered.of(reply, Endpoint.CHAT, 1)
    assert (answered.answer, answered.release()) == (None, reply)


async def test_a_stream_is_put_together_and_goes_out_as_it_came():
    reply = Reply(200, stream=Stream(testing.Events(stream_of("two words"))))
    answered = await Answered.of(reply, Endpoint.CHAT, 30)
    assert text(answered.answer) == "two words"
    assert await testing.read(answered.release()) == raw(stream_of("two words"))


async def test_a_stream_that_breaks_off_is_no_answer():
    source = testing.Events([*stream_of("one")[:1], refuse()])
    answered = await Answered.of(Reply(200, stream=Stream(source)), Endpoint.CHAT, 30)
    assert (answered.answer, answered.broken.code) == (None, "upstream_failed")
    body = await testing.read(answered.release())
    assert body.startswith(raw(stream_of("one")[:1]))
    assert body.count(b"error") > 0
    assert source.closed


async def test_log_probabilities_that_no_client_asked_for_are_judged_and_taken_out():
    told = {"content": [{"token": "a", "logprob": -1}]}
    body = {"choices": [{"message": {"content": "a"}, "logprobs": told, "finish_reason": "stop"}]}
    given = wire_json.encode(body)
    answered = await Answered.of(Reply(200, body=given), Endpoint.CHAT, 1, unasked=True)
    assert answered.answer == body
    assert answered.release().body == given.replace(wire_json.encode(told), b"null")
    error = Reply(400, body=given)
    assert (await Answered.of(error, Endpoint.CHAT, 1, unasked=True)).release() is error


async def test_what_a_cascade_gives_is_the_reply_with_what_is_known_of_it():
    reply = Reply(200, stream=Stream(testing.Events(stream_of("one"))))
    given = Cascaded.by(reply, "large", {"a": 1})
    assert (given.model, given.small, given.headers) == ("large", {"a": 1}, reply.headers)
    assert "'a'" not in repr(given)
    assert await testing.read(given) == raw(stream_of("one"))


async def test_a_dropped_answer_lets_go_of_its_stream():
    source = testing.Events(stream_of("one two"))
    answered = await Answered.of(Reply(200, stream=Stream(source)), Endpoint.CHAT, 0.0)
    assert (answered.answer, source.closed) == (None, False)
    await answered.drop()
    assert source.closed


async def test_what_was_asked_for_in_one_piece_but_comes_as_a_stream_is_let_go():
    source = testing.Events(stream_of("one two"))
    assert await whole(Reply(200, stream=Stream(source)), Endpoint.CHAT) is None
    assert source.closed
    assert (
        wire_json.encode(await whole(testing.chat("hello")(), Endpoint.CHAT)) == testing.chat("hello")().body
    )
