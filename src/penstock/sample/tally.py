"""What the sample upstream is set to, and what it has seen."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
from multidict import CIMultiDict

from penstock.clock import SYSTEM, Clock


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server behaves.

    `key` is required of clients if given; `first_ms` passes before an answer begins and `delay_ms`
    between a stream's events. `drip_ms`, `slow_ms` and `held_ms` pace the faults of those names.
    Only the last `keep` requests are kept.
    """

    key: str | None = field(default=None, repr=False)
    first_ms: float = 0
    delay_ms: float = 0
    drip_ms: float = 10
    slow_ms: float = 2000
    held_ms: float = 5000
    keep: int = 10_000
    clock: Clock = SYSTEM


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived, its body still encoded as it came.

    `path` and `query` are undecoded; `body` is empty for uploads, which are only counted. `at` is in
    seconds since the epoch.
    """

    at: float
    method: str
    path: str
    query: str
    headers: CIMultiDict[str]
    body: bytes
    peer_port: int

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the client sent
        """The body as JSON. Raises msgspec.DecodeError."""
        return msgspec.json.decode(self.body)


@dataclass(slots=True)
class Tally:
    """What was seen since the start or the last `reset`.

    `calls` counts requests to anything but /health; `taken_bytes` is how much of `endless` answers
    the clients' ends have taken, sockets' buffers included.
    """

    requests: list[Seen] = field(default_factory=list)
    calls: int = 0
    connections: int = 0
    taken_bytes: int = 0
    scenarios: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        """Forget everything, so that limited faults fail again."""
        self.requests.clear()
        self.scenarios.clear()
        self.calls = self.connections = self.taken_bytes = 0

    def see(self, seen: Seen, keep: int) -> None:
        """Keep a request, and drop the oldest beyond `keep`."""
        self.requests.append(seen)
        del self.requests[: max(0, len(self.requests) - keep)]
