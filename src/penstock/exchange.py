"""Exchange: one request, its reply and every decision about it. It dies with the flow."""

import secrets
from collections import Counter
from dataclasses import dataclass, field

from penstock.clock import SYSTEM
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


@dataclass(slots=True, weakref_slot=True)
class Exchange:
    """One request on its way through the chain.

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
    usage: Usage | None = None
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
