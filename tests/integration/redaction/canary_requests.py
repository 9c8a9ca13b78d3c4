"""Requests with canaries in every string that a client may fill, on every path that a request can take."""

import base64
import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from tests.integration.house.echo_upstream import ERRORS
from tests.integration.house.house_parts import Answer, Json, SampleThread, ask, until
from tests.integration.redaction.canaries import ALL, CANARIES, MAC_ADDRESS

FAULTS = ("500", "429", "close", "cut-3", "error-2", "garbage", "html", "malformed-2")
LEFT = ("hang", "hang-2")
MOST_BYTES = 300_000
"""The policy's `max_request_bytes`."""
_ARGUMENTS = json.dumps({"to": ALL, "deep": [{"er": ALL}]})
_SCHEMA: Json = {
    "type": "object",
    "title": ALL,
    "description": ALL,
    "properties": {"text": {"type": "string", "description": ALL, "default": ALL, "examples": [ALL]}},
}


def chat_body(model: str, *, end: str = "", **fields: Any) -> Json:
    """Give a chat body with all canaries in every free string; the last user's text ends with `end`."""
    function = {"name": "send", "description": ALL, "parameters": _SCHEMA}
    call = {"id": "call_1", "type": "function", "function": {"name": "send", "arguments": _ARGUMENTS}}
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": ALL, "name": CANARIES["EMAIL"]},
            {"role": "user", "content": ALL, "name": CANARIES["CREDIT_CARD"]},
            {"role": "assistant", "content": None, "refusal": ALL, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": _ARGUMENTS},
            {"role": "user", "content": [{"type": "text", "text": ALL + end}]},
        ],
        "tools": [{"type": "function", "function": function}],
        "prediction": {"type": "content", "content": ALL},
        "metadata": {"note": ALL},
        "user": CANARIES["EMAIL"],
        "safety_identifier": CANARIES["EMAIL"],
        "prompt_cache_key": CANARIES["PHONE"],
        "stop": [CANARIES["US_SSN"]],
        "of_a_later_api": {"list": [ALL, {"deep": ALL}]},
        **fields,
    }


def response_body(model: str, *, end: str = "", **fields: Any) -> Json:
    """Give the same for responses."""
    tool = {"type": "function", "name": "send", "description": ALL, "parameters": _SCHEMA}
    return {
        "model": model,
        "instructions": ALL,
        "input": [
            {"role": "user", "content": ALL},
            {"type": "function_call", "call_id": "call_1", "name": "send", "arguments": _ARGUMENTS},
            {"type": "function_call_output", "call_id": "call_1", "output": _ARGUMENTS},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": ALL}]},
            {"role": "user", "content": [{"type": "input_text", "text": ALL + end}]},
        ],
        "tools": [tool],
        "metadata": {"note": ALL},
        "user": CANARIES["EMAIL"],
        "safety_identifier": CANARIES["EMAIL"],
        "prompt_cache_key": CANARIES["PHONE"],
        "of_a_later_api": {"list": [ALL, {"deep": ALL}]},
        **fields,
    }


def both(model: str, **how: Any) -> Iterator[tuple[str, Json]]:
    """Give path and body of both APIs, plain and streamed; no two share an answer in the cache."""
    for stream in (False, True):
        yield "/chat/completions", chat_body(model, stream=stream, seed=int(stream), **how)
        yield "/responses", response_body(model, stream=stream, top_p=1 - int(stream) / 2, **how)


def answered(base_url: str, **headers: str) -> list[Answer]:
    """Send what is answered well: words, and calls of tools."""
    wanted = [*both("m"), *both("m", end=" Please call a tool.")]
    return [ask(f"{base_url}{path}", body, headers) for path, body in wanted]


def failing(base_url: str, **headers: str) -> list[Answer]:
    """Send what the upstream fails at, and what it quotes in its errors."""
    models = [*(f"fault-{fault}" for fault in FAULTS), *ERRORS]
    return [ask(f"{base_url}{path}", body, headers) for model in models for path, body in both(model)]


def refused(base_url: str, **headers: str) -> list[Answer]:
    """Send what the gateway itself refuses: malformed, too large, blocked."""
    good = chat_body("m")
    bodies: list[Json | bytes] = [
        json.dumps(good).encode()[:-5],
        b"\xff" + json.dumps(good).encode(),
        json.dumps([ALL]).encode(),
        json.dumps(ALL).encode(),
        {**good, "padding": "x" * MOST_BYTES},
        {**good, "model": CANARIES["EMAIL"]},
        {**good, "tools": [{"type": "function", "function": {"name": CANARIES["SECRET"]}}]},
        {**good, "metadata": {CANARIES["EMAIL"]: "a key"}},
        {**good, "metadata": {"account_number": int(CANARIES["CREDIT_CARD"])}},
        {**good, "user": f"device {MAC_ADDRESS}"},
        {**good, "messages": [{"role": "user", "content": [a_file(b"\x89PNG" + ALL.encode(), "image/png")]}]},
    ]
    return [
        ask(base_url + path, body, headers) for path in ("/chat/completions", "/responses") for body in bodies
    ]


def a_file(content: bytes, media_type: str) -> Json:
    """Give a part with a file in base64."""
    data = f"data:{media_type};base64,{base64.b64encode(content).decode()}"
    return {"type": "file", "file": {"filename": "a file", "file_data": data}}


def left(base_url: str, sample: SampleThread, **headers: str) -> int:
    """Send calls that hang, and leave once the upstream has them; give how many."""
    count = 0
    for model in (f"fault-{fault}" for fault in LEFT):
        for path, body in both(model):
            calls, parts = sample.calls, urlsplit(base_url)
            with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)) as client:
                told = {"content-type": "application/json", **headers}
                client.request("POST", parts.path + path, json.dumps(body), told)
                until(lambda calls=calls: sample.calls > calls, "the call that hangs")
            count += 1
    return count
