"""Redacting requests: every place, every action, and a history that stays the same byte for byte."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redaction_house import ALL, VALUES, arguments_of, find, hostile, keyed

from penstock.openai import wire_json
from penstock.openai.request import Endpoint
from penstock.redaction import Action, Blocked, FileRule, Remembered, Vault, redact
from penstock.redaction.lane import restored

EMAIL = "ann@example.org"
DATA_URL = "data:text/plain;base64," + base64.b64encode(f"write to {EMAIL}".encode()).decode()
IMAGE_URL = "data:image/png;base64," + base64.b64encode(bytes(40)).decode()

CHAT = {
    "model": "m",
    "user": EMAIL,
    "metadata": {"owner": EMAIL},
    "stop": [EMAIL],
    "prediction": {"type": "content", "content": [{"type": "text", "text": EMAIL}]},
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": EMAIL,
                "parameters": {
                    "type": "object",
                    "properties": {"q": {"description": EMAIL, "default": EMAIL}},
                },
            },
        }
    ],
    "messages": [
        {"role": "system", "content": EMAIL},
        {"role": "user", "name": EMAIL, "content": [{"type": "text", "text": EMAIL}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "f", "arguments": json.dumps({"to": EMAIL})},
                },
                {"id": "d", "type": "custom", "custom": {"name": "g", "input": EMAIL}},
            ],
            "function_call": {"name": "f", "arguments": json.dumps([EMAIL])},
            "refusal": EMAIL,
            "reasoning_content": EMAIL,
        },
        {"role": "tool", "tool_call_id": "c", "content": f'{{"mail": "{EMAIL}"}}'},
    ],
    "not_known_yet": {"deep": [[{"er": EMAIL}]]},
}
RESPONSES = {
    "model": "m",
    "instructions": EMAIL,
    "prompt": {"id": "p", "variables": {"name": EMAIL}},
    "input": [
        {"role": "user", "content": EMAIL},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": EMAIL}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": json.dumps({"to": EMAIL})},
        {"type": "function_call_output", "call_id": "c", "output": EMAIL},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": EMAIL}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": EMAIL}]},
    ],
    "metadata": {"a": EMAIL},
}
CASES = [
    (Endpoint.CHAT, CHAT, 17),
    (Endpoint.RESPONSES, RESPONSES, 9),
    (Endpoint.RESPONSES, {"model": "m", "input": EMAIL}, 1),
    (Endpoint.COMPLETIONS, {"model": "m", "prompt": [EMAIL, f"x {EMAIL}"], "suffix": EMAIL}, 3),
    (Endpoint.COMPLETIONS, {"model": "m", "prompt": [[1234567890, 2]]}, 0),
    (Endpoint.EMBEDDINGS, {"model": "m", "input": [EMAIL], "user": EMAIL}, 2),
]


def run(body, endpoint=Endpoint.CHAT, actions=ALL, vault=None, **more):
    return redact(endpoint, body, find, vault or Vault(keyed()), actions, **more)


@pytest.mark.parametrize(("endpoint", "body", "count"), CASES)
def test_every_text_of_a_request_is_redacted(endpoint, body, count):
    before = json.dumps(body)
    new, redactions = run(body, endpoint)
    assert EMAIL not in json.dumps(new)
    assert len(redactions) == count
    assert {r.action for r in redactions} <= {Action.PLACEHOLDER}
    assert json.dumps(body) == before
    for redaction in redactions:
        original = at(body, redaction.pointer)
        assert original[redaction.start : redaction.end] == EMAIL
        assert EMAIL not in repr(redaction)


def at(body, pointer):
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        body = body[int(part)] if isinstance(body, list) else body[part]
    return body


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"model": EMAIL}, "/model"),
        ({"messages": [{"role": "user", "content": [{"image_url": {"url": f"https://x/{EMAIL}"}}]}]},
         "/messages/0/content/0/image_url/url"),
        ({"messages": [{"role": "tool", "tool_call_id": EMAIL}]}, "/messages/0/tool_call_id"),
        ({"messages": [{"role": "tool", "name": EMAIL}]}, "/messages/0/name"),
        ({"tools": [{"function": {"name": EMAIL}}]}, "/tools/0/function/name"),
        ({"tools": [{"function": {"parameters": {"properties": {"a": {"enum": [EMAIL]}}}}}]},
         "/tools/0/function/parameters/properties/a/enum/0"),
        ({"x": {EMAIL: 1}}, "/x/[EMAIL]"),
        ({"x": {"a/b~c": {EMAIL: {"model": 5}}}}, "/x/a~1b~0c/[EMAIL]"),
        ({"metadata": {"card": 4111111111111111}}, "/metadata/card"),
    ],
)  # fmt: skip
def test_what_can_t_be_replaced_is_reported(body, pointer):
    new, (redaction,) = run(body)
    assert new is body
    assert redaction.action is Action.STRUCTURAL
    assert redaction.pointer == pointer
    assert redaction.put == ""


def test_a_telling_key_stands_in_no_pointer_below_it():
    _, redactions = run({"x": {EMAIL: {"deep": EMAIL}}})
    assert [r.pointer for r in redactions] == ["/x/[EMAIL]", "/x/[EMAIL]/deep"]
    with pytest.raises(Blocked) as refused:
        run({"x": {EMAIL: {"deep": "078-05-1120"}}}, actions={"US_SSN": Action.BLOCK})
    assert EMAIL not in str(refused.value.shape())
    assert refused.value.pointer == "/x/[EMAIL]/deep"


def test_a_block_names_the_type_and_the_place_and_not_the_value():
    with pytest.raises(Blocked) as refused:
        run(CHAT, actions={"EMAIL": Action.BLOCK})
    shape = refused.value.shape()["error"]
    assert (shape["code"], shape["param"]) == ("redaction_blocked", "/user")
    assert "EMAIL" in shape["message"]
    assert EMAIL not in json.dumps(shape)


@pytest.mark.parametrize(
    ("action", "put"),
    [(Action.MASK, "###@#######.###"), (Action.ALLOW, EMAIL)],
)
def test_actions(action, put):
    new, redactions = run({"input": EMAIL}, Endpoint.EMBEDDINGS, {"EMAIL": action})
    assert new["input"] == put
    assert redactions[0].action is action


def test_a_hash_is_the_same_for_all_spellings_and_a_placeholder_is_not():
    body = {"input": ["ann@example.org", "Ann@example.org"]}
    hashed, marks = run(body, Endpoint.EMBEDDINGS, {"*": Action.HASH})
    assert hashed["input"][0] == hashed["input"][1]
    assert marks[0].mac == marks[1].mac
    held, _ = run(body, Endpoint.EMBEDDINGS)
    assert held["input"][0] != held["input"][1]


@given(hostile)
def test_arguments_stay_valid_json_and_come_back(text):
    vault = Vault(keyed())
    raw = arguments_of(text)
    body = {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": raw}}]}]}
    new, _ = run(body, vault=vault)
    sent = new["messages"][0]["tool_calls"][0]["function"]["arguments"]
    json.loads(sent)
    assert json.loads(restored(vault, sent, escaped=True)) == json.loads(raw)


def test_escapes_in_arguments_hide_nothing_and_the_rest_keeps_its_bytes():
    raw = '{ "a" : "x\\n\\u0061nn\\u0040example.org\\ud83d\\ude00" , "b":1.50, "c": 4111111111111111 }'
    body = {"messages": [{"tool_calls": [{"function": {"arguments": raw}}]}]}
    new, redactions = run(body)
    sent = new["messages"][0]["tool_calls"][0]["function"]["arguments"]
    mail, card = (r.put for r in redactions)
    assert sent == f'{{ "a" : "x\\n{mail}\\ud83d\\ude00" , "b":1.50, "c": "{card}" }}'


def test_a_tool_s_result_is_read_through_its_escapes():
    new, _ = run({"messages": [{"role": "tool", "content": '{"name": "Zo\\u00eb"}'}]})
    assert json.loads(new["messages"][0]["content"])["name"].startswith("[PERSON_")


def test_arguments_that_are_no_json_are_read_as_text():
    body = {"messages": [{"tool_calls": [{"function": {"arguments": f'{{"a": "{EMAIL}'}}]}]}
    new, _ = run(body)
    assert EMAIL not in json.dumps(new)


def test_a_name_keeps_to_the_letters_that_servers_take():
    new, _ = run({"messages": [{"role": "user", "name": EMAIL}]})
    assert new["messages"][0]["name"].replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("part", "rule"),
    [
        ({"type": "file", "file": {"file_data": IMAGE_URL}}, FileRule.SCAN),
        ({"type": "file", "file": {"file_data": IMAGE_URL}}, FileRule.BLOCK),
        ({"type": "image_url", "image_url": {"url": IMAGE_URL}}, FileRule.BLOCK),
        ({"type": "input_image", "image_url": IMAGE_URL}, FileRule.BLOCK),
        ({"type": "input_audio", "input_audio": {"data": "A" * 40, "format": "wav"}}, FileRule.SCAN),
        ({"type": "text", "text": IMAGE_URL}, FileRule.BLOCK),
    ],
)
def test_files_are_blocked_where_the_policy_says_so(part, rule):
    body = {"messages": [{"role": "user", "content": [part]}]}
    assert run(body)[0] is body
    with pytest.raises(Blocked) as refused:
        run(body, files=rule)
    assert refused.value.pointer.startswith("/messages/0/content/0/")


def test_a_text_file_is_read_and_written_again():
    part = {"type": "file", "file": {"file_data": DATA_URL, "filename": "a.txt"}}
    new, (redaction,) = run({"messages": [{"content": [part]}]}, files=FileRule.SCAN)
    head, _, data = new["messages"][0]["content"][0]["file"]["file_data"].partition(",")
    assert head == "data:text/plain;base64"
    assert base64.b64decode(data).decode() == f"write to {redaction.put}"


@pytest.mark.parametrize(
    "text", [f"data:text/plain;base64,{EMAIL}", f"data:image/png;name={EMAIL};base64,AAAA", f"data:,{EMAIL}"]
)
def test_a_text_can_t_pass_as_a_file(text):
    for part in ({"type": "text", "text": text}, {"file": {"file_data": text}}):
        new, redactions = run({"messages": [{"content": [part]}]})
        assert EMAIL not in json.dumps(new)
        assert redactions


def test_twenty_turns_keep_their_beginning_byte_for_byte():
    history, sent_before = [], b""
    for turn in range(20):
        kind, value = VALUES[turn % len(VALUES)]
        history.append(
            {"role": "user", "content": f"turn {turn} {kind} {value}, {turn}@example.org [SSN_1234]"}
        )
        new, _ = run({"model": "m", "messages": list(history)})
        sent = wire_json.encode(new["messages"])
        assert sent.startswith(sent_before)
        sent_before = sent[:-1]
        history.append({"role": "assistant", "content": f"yes, {value}"})


def test_depth_is_no_matter():
    body = deep = {}
    for _ in range(5000):
        deep["a"] = deep = {}
    deep["a"] = EMAIL
    new, (redaction,) = run(body)
    assert redaction.pointer == "/a" * 5001
    assert new is not body


@given(
    st.recursive(
        st.text() | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_any_body_is_answered(body):
    for endpoint in (Endpoint.CHAT, Endpoint.RESPONSES):
        new, _ = run({"input": body, "messages": body, "x": body}, endpoint)
        assert EMAIL not in repr(new)


def test_a_text_is_read_once_and_forgotten_in_time():
    asked = []

    def counting(text, label=""):
        asked.append(text)
        return find(text, label)

    memory = Remembered(counting, keyed(b"memory"), limit_bytes=1000)
    for _ in range(3):
        assert [f.start for f in memory(f"to {EMAIL}")] == [3]
    assert len(asked) == 1
    assert memory("other label", "ssn") == ()
    for number in range(50):
        memory(f"text {number}")
        assert memory.size_bytes <= 1000
    memory(f"to {EMAIL}")
    assert asked.count(f"to {EMAIL}") == 2
