"""Requests with a marker in every place that a client can write to."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from tests.integration.house.echo_upstream import ERRORS
from tests.integration.house.house_parts import Answer, Json, SampleThread, ask, until

FAILURES = ("500", "close", "cut-1", "garbage")
LEFT = ("hang", "hang-2")
KEY = "sk-K3YM4RK3R"


def upstreams(sample: Any, echo_url: str, marker: str) -> str:
    """Give an upstreams.yaml with one upstream for each failure, chosen by a model's name with the marker."""
    lines = ["default: good", "upstreams:", f"  good: {{url: '{sample.url}'}}"]
    lines += [
        f"  f{number}: {{url: '{sample.running.fault_url(fault)}', models: {{{marker}-{fault}: m}}}}"
        for number, fault in enumerate((*FAILURES, *LEFT))
    ]
    echoed = ", ".join(f"{marker}-{name}: {name}" for name in ERRORS)
    lines.append(f"  echo: {{url: '{echo_url}', models: {{{echoed}}}}}")
    return "\n".join(lines) + "\n"


def chat_body(marker: str, model: str, **fields: Any) -> Json:
    """Give a chat body with the marker in every field that is free text."""
    tool = {"name": marker, "description": marker, "parameters": {"title": marker}}
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": f"{marker} system", "name": marker},
            {"role": "user", "content": [{"type": "text", "text": f"{marker} user"}], "name": marker},
        ],
        "tools": [{"type": "function", "function": tool}],
        "metadata": {marker: marker},
        "user": marker,
        "safety_identifier": marker,
        "prompt_cache_key": marker,
        f"unknown_{marker}": {marker: [marker]},
        **fields,
    }


def response_body(marker: str, model: str, **fields: Any) -> Json:
    """Give the same for responses."""
    tool = {"type": "function", "name": marker, "description": marker, "parameters": {"title": marker}}
    return {
        "model": model,
        "instructions": marker,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": f"{marker} words"}]}],
        "tools": [tool],
        "metadata": {marker: marker},
        "user": marker,
        f"unknown_{marker}": marker,
        **fields,
    }


def headers(marker: str, **more: str) -> dict[str, str]:
    """Give headers that carry the marker, and a client's key of their own."""
    told = {
        "content-type": "application/json",
        "user-agent": marker,
        "x-dac-thread": marker,
        f"x-{marker}": marker,
        "openai-organization": marker,
    }
    return {**told, "authorization": f"Bearer {KEY}", "cookie": f"a={KEY}", **more}


def bodies(marker: str, models: tuple[str, ...]) -> Iterator[tuple[str, Json]]:
    """Give path and body of each kind of call for these models."""
    for model in models:
        for stream in (False, True):
            # The seed differs, so that no call is answered from what another left in the cache.
            yield "/chat/completions", chat_body(marker, f"{marker}-{model}", stream=stream, seed=int(stream))
            yield "/responses", response_body(marker, f"{marker}-{model}", stream=stream, seed=int(stream))


def send_all(base_url: str, marker: str, **more: str) -> list[Answer]:
    """Send every kind of call that is answered, well or badly."""
    told = headers(marker, **more)
    answers = [
        ask(f"{base_url}{path}?q={marker}", body, told)
        for path, body in bodies(marker, ("good", *FAILURES, *ERRORS))
    ]
    answers.append(ask(f"{base_url}/chat/completions?q={marker}", f'{{"model": {marker}'.encode(), told))
    answers.append(ask(f"{base_url}/{marker}?q={marker}", b"x" + marker.encode(), told))
    return answers


def send_and_leave(base_url: str, marker: str, sample: SampleThread, **more: str) -> int:
    """Send calls that hang, and leave once the upstream has them; give how many."""
    count = 0
    for path, body in bodies(marker, LEFT):
        calls = sample.calls
        parts = urlsplit(base_url)
        with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)) as connection:
            target = f"{parts.path}{path}?q={marker}"
            connection.request("POST", target, json.dumps(body), headers(marker, **more))
            until(lambda calls=calls: sample.calls > calls, "the call that hangs")
        count += 1
    return count
