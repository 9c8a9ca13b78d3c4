from penstock.sample.answers import messages

ASK = {
    "model": "claude-sonnet",
    "system": "be brief",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": [{"type": "text", "text": "hello world"}]}],
}


def test_the_message_is_whole():
    assert messages.answer(ASK, 7, 0) == {
        "id": "msg_00000007",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet",
        "content": [{"type": "text", "text": "You said: hello world"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 4, "output_tokens": 4},
    }


def test_a_limit_ends_it_with_max_tokens():
    told = messages.answer({**ASK, "max_tokens": 2}, 7, 0)
    assert told["stop_reason"] == "max_tokens"
    assert told["content"][0]["text"] == "You said:"


def test_the_stream_has_anthropics_events_and_the_same_text():
    events = messages.events({**ASK, "stream": True}, 7, 0)
    assert [event.name for event in events] == [
        "message_start",
        "content_block_start",
        "ping",
        *["content_block_delta"] * 4,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert all(event.json["type"] == event.name for event in events)
    deltas = [event.json["delta"]["text"] for event in events if event.name == "content_block_delta"]
    assert "".join(deltas) == "You said: hello world"
    assert events[-2].json["usage"] == {"output_tokens": 4}
    assert [event.final for event in events] == [False] * 9 + [True]
