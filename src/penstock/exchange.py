"""Exchange: one request, its reply and every decision about it. It dies with the flow."""

import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from penstock.clock import SYSTEM
from penstock.errors import Refusal
from penstock.openai.request import Request
from penstock.openai.usage import Usage
from penstock.policy.base import PolicySet


@dataclass(frozen=True, slots=True)
class Decision:
    """What a stage decided: a word from the stage's own short list, and why, without content."""

    stage: str
    action: str
    reason: str = ""


@dataclass(slots=True)
class Sent:
    """The last upstream call as a reviewer sees it: no key, what went out and what came back."""

    method: str
    url: str
    body: bytes


@dataclass(slots=True)
class Call:
    """One upstream call that was answered: the model as clients name it, and its usage once it is told."""

    model: str
    usage: Usage | None = None


class Purse(Protocol):
    """What pays for an exchange within its limits."""

    async def top_up(self, model: str) -> bool:
        """Hold what one more call of this model may cost; False, and no call, where there is no room."""

    def refusal(self) -> Refusal:
        """Give what the client is told where `top_up` found no room and nobody else can answer."""

    async def beside[T](self, copy: "Exchange", call: "Callable[[Exchange], Awaitable[T]]") -> T | None:
        """Make a call with a copy of the exchange, paid by itself; None where there is no room for it."""


@dataclass(slots=True, weakref_slot=True)
class Exchange:
    """One request on its way through the chain.

    `tenant` pays, for a `project` and a `user` where the key `key_id` names them. `calls` are the upstream
    calls that were answered, each of which costs something. `sharers` are exchanges that get this one's
    answer without a call of their own. Without a `purse` no limit holds. `substituted` says that another
    model answers than the client named, so that nobody may take it for that one's answer later. `escalated`
    says that a second model was asked because the first one's answer did not pass. `target` is the upstream
    that a stage chose; `intent` what the request is about; `arms` the arm of each experiment; `learned` what
    a router may learn from once the outcome is known.
    `client_key` is what the client authenticated with; it is never shown. `ephemeral` means that
    nothing of this exchange persists. `answer_headers` reach the client on whatever answer it gets.
    `redactions` counts findings by type and action. `told_id` is the request id that the client was
    told: the upstream's where it gave one. `inspected` says that somebody looks at the traffic;
    `sent` and `received` are filled only then.
    """

    request: Request
    policies: PolicySet
    id: str = field(default_factory=lambda: f"req_{secrets.token_hex(12)}")
    tenant: str = "default"
    project: str = ""
    user: str = ""
    key_id: str = ""
    client_key: str | None = field(default=None, repr=False)
    ephemeral: bool = False
    began: float = field(default_factory=SYSTEM.monotonic)
    decisions: list[Decision] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    answer_headers: dict[str, str] = field(default_factory=dict)
    upstream: str | None = None
    provider: str | None = None
    model: str | None = None
    attempts: int = 0
    calls: list[Call] = field(default_factory=list)
    sharers: "list[Exchange]" = field(default_factory=list, repr=False)
    usage: Usage | None = None
    purse: Purse | None = field(default=None, repr=False)
    substituted: bool = False
    escalated: bool = False
    target: str | None = None
    intent: str | None = None
    arms: dict[str, str] = field(default_factory=dict)
    learned: bytes = field(default=b"", repr=False)
    redactions: Counter[tuple[str, str]] = field(default_factory=Counter)
    inspected: bool = False
    sent: Sent | None = field(default=None, repr=False)
    received: bytearray = field(default_factory=bytearray, repr=False)
    first_byte: float | None = None
    error_code: str | None = None
    told_id: str = ""

    @property
    def shown(self) -> bool:
        """Whether a reviewer may see what went upstream and what came back."""
        return self.inspected and not self.ephemeral

    def mark_first_byte(self) -> None:
        """Note when the first byte of the answer's body went out."""
        if self.first_byte is None:
            self.first_byte = SYSTEM.monotonic()

    def decide(self, stage: str, action: str, reason: str = "") -> None:
        """Write a decision into the trace."""
        self.decisions.append(Decision(stage, action, reason))
