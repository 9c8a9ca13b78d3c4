"""What is measured: the requests, how many, and on how many connections."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from processes import ON_LOAD_CORE, Target, Upstream, cpu_s

DIRECT: Final = "direct"
MITMDUMP: Final = "mitmdump"
STREAMING_MITMDUMP: Final = "mitmdump+stream"
PENSTOCK: Final = "penstock"

BODY_BYTES: Final = 1900
_NUMBER: Final = "@" * 12  # the load client writes the request's number here
_SAME: Final = 999_999_999_999
_SYSTEM: Final = (
    "You answer questions about a water mill, its gate and its wheel, in plain and short sentences. "
)
_TALK: Final = (
    "The gate lets just as much water through as the wheel can use. When the pond is full, what is left "
    "over runs past the mill and back into the stream. "
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to load a target.

    `fresh`: no two requests are the same. A stream has so many events, so far apart; 0 us is full rate.
    """

    name: str
    title: str
    targets: tuple[str, ...]
    connections: int
    requests: int
    fresh: bool = True
    events: int = 0
    every_us: int = 0
    skipped: int = 0


def scenarios(requests: int, streams: int, events: int) -> list[Scenario]:
    """Name all scenarios; the counts are those of one repetition."""
    plain, streamed = (DIRECT, MITMDUMP, PENSTOCK), (DIRECT, STREAMING_MITMDUMP, PENSTOCK)
    one = max(requests // 4, 50)
    return [
        Scenario("misses", "cache misses, 16 connections", plain, 16, requests),
        Scenario("hits", "cache hits, 16 connections", (MITMDUMP, PENSTOCK), 16, requests, fresh=False),
        Scenario("one", "cache misses, 1 connection", plain, 1, one, skipped=10),
        Scenario("one hit", "cache hits, 1 connection", (PENSTOCK,), 1, one, fresh=False, skipped=10),
        Scenario(
            "paced", "paced stream, 1 connection", streamed, 1, streams, events=20, every_us=5000, skipped=2
        ),
        Scenario("paced 32", "32 paced streams at once", streamed, 32, 32, events=200, every_us=5000),
        Scenario("full rate", "streams at full rate, 16 connections", streamed, 16, 48, events=events),
    ]


def request(scenario: Scenario) -> bytes:
    """Write the HTTP request of a scenario, its body padded to BODY_BYTES."""
    body: dict[str, Any] = {"model": "gpt-5-mini", "messages": []}
    if scenario.events:
        body |= {"stream": True, "user": f"events={scenario.events} every_us={scenario.every_us}"}
    talk = _TALK * (BODY_BYTES // len(_TALK))
    for length in range(len(talk), 0, -1):
        body["messages"] = [
            {"role": "system", "content": _SYSTEM},
            {"role": "user", "content": talk[: length // 2]},
            {"role": "assistant", "content": talk[length // 2 : length]},
            {"role": "user", "content": f"{_NUMBER}: and what does the miller do then?"},
        ]
        text = json.dumps(body, separators=(",", ":")).encode()
        if len(text) <= BODY_BYTES:
            break
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        "User-Agent: penstock-benchmark\r\nAuthorization: Bearer sk-benchmark\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    return head.encode() + text


class Load:
    """Runs scenarios against targets; one row comes of each run."""

    def __init__(self, program: Path, upstream: Upstream, folder: Path) -> None:
        self._program = program
        self._upstream = upstream
        self._folder = folder
        self._number = 0

    def run(self, scenario: Scenario, target: Target) -> dict[str, Any]:
        """Run one scenario once. The row says `void`, and why, where its figures count for nothing."""
        before = self._upstream.counts()
        spent = cpu_s(target.pid) if target.pid else 0.0
        told = self._start(scenario, target)
        spent = cpu_s(target.pid) - spent if target.pid else 0.0
        after = self._upstream.counts()
        row = {"scenario": scenario.name, "target": target.name, **told}
        row |= {"upstream_accepts": after[0] - before[0], "upstream_requests": after[1] - before[1]}
        if "void" not in row and (why := _not_as_meant(scenario, row)):
            row["void"] = why
        if "void" not in row:
            row |= dict(_rates(scenario, row, spent if target.pid else None))
        return row

    def _start(self, scenario: Scenario, target: Target) -> dict[str, Any]:
        template = self._folder / f"{scenario.name}.request"
        template.write_bytes(request(scenario))
        first, step = (self._number, 1) if scenario.fresh else (_SAME, 0)
        self._number += scenario.requests
        numbers = (target.port, scenario.connections, scenario.requests, scenario.skipped, first, step)
        words = [*ON_LOAD_CORE, str(self._program), *map(str, numbers), str(template)]
        ended = subprocess.run(words, capture_output=True, text=True)
        if ended.returncode:
            return {"void": ended.stderr.strip() or f"the load client ended with {ended.returncode}"}
        told: dict[str, Any] = json.loads(ended.stdout)
        return told


def _not_as_meant(scenario: Scenario, row: dict[str, Any]) -> str:
    """Say why a run did not measure what its scenario names."""
    hits = not scenario.fresh and row["target"] == PENSTOCK
    wanted = 0 if hits else scenario.requests
    if row["upstream_requests"] != wanted:
        return f"the upstream saw {row['upstream_requests']} requests in place of {wanted}"
    if row["events"] != scenario.requests * scenario.events:
        return f"{row['events']} events came in place of {scenario.requests * scenario.events}"
    return ""


def _rates(scenario: Scenario, row: dict[str, Any], spent: float | None) -> Iterator[tuple[str, float]]:
    yield "rps", row["requests"] / row["seconds"]
    if spent is not None:
        yield "cpu_us_per_request", spent * 1e6 / row["requests"]
    if scenario.events:
        yield "events_per_s", row["events"] / row["seconds"]
        if spent is not None:
            yield "cpu_us_per_event", spent * 1e6 / row["events"]
