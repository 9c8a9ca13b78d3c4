"""What the tests of the redaction stage share: values, the stage with its trail, and roads behind it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from penstock import testing
from penstock.exchange import Exchange
from penstock.openai import sse
from penstock.openai.request import Json
from penstock.openai.sse import Parser
from penstock.policy.base import StagePolicy
from penstock.redaction.policy import RedactionPolicy
from penstock.reply import Reply, Stream
from penstock.stage import Proceed, Resources, Stage
from penstock.stages.redaction import Redact
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryLedger, MemoryRecords

MAIL = "ann.miller@example.org"
OTHERS = "bob.stone@example.net"  # what a model says though no client has said it
VALUES = {
    "EMAIL": MAIL,
    "CREDIT_CARD": "4111 1111 1111 1111",
    "IBAN": "DE89 3704 0044 0532 0130 00",
    "US_SSN": "536-90-4399",
    "PHONE": "+49 30 901820",
    "SECRET": "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
}
TELL = "My SSN is {US_SSN}, my card {CREDIT_CARD}, IBAN {IBAN}, phone {PHONE}, {EMAIL}, key {SECRET}."
ALL = TELL.format_map(VALUES)


class RedactionHouse:
    """A redaction stage whose audit trail stands in a folder; `ask` sends one request through it."""

    def __init__(self, state: Path, **policy: Any) -> None:
        self.clock = testing.FrozenClock()
        self.store = testing.MemoryStore(self.clock)
        self.state = state
        self.stage = Redact()
        self.policy = RedactionPolicy(**policy)
        self.resources = Resources(
            self.store, MemoryLedger(), MemoryRecords(), Keyring(bytes(32)), state, self.clock
        )

    async def open(self) -> Self:
        await self.stage.start(self.resources)
        self.stage.accept(testing.policies(self.policy))
        return self

    def exchange(self, body: Mapping[str, Any], path: str = "/v1/chat/completions") -> Exchange:
        return testing.exchange(path, body=body, given=[self.policy])

    async def ask(self, exchange: Exchange, rest: Any) -> Any:
        """Give the answer: the JSON of a plain one, the events of a stream."""
        reply = await testing.run_stage(self.stage, exchange, rest)
        streams = reply.stream is not None
        raw = await testing.read(reply)
        return list(Parser().feed(raw)) if streams else json.loads(raw)

    async def trail(self) -> str:
        """Give all that stands in the audit folder once what waits is written."""
        assert self.stage._trail is not None
        await self.stage._trail.flush()
        return "".join(path.read_text() for path in self.state.rglob("*.jsonl"))

    async def records(self) -> list[Json]:
        """Give the trail's records of findings."""
        told = [json.loads(line)["record"] for line in (await self.trail()).splitlines()]
        return [record for record in told if "value_mac" in record]


class Rest(Stage[StagePolicy]):
    """The end of a chain: what the test gave as the rest of the road."""

    name = "upstream"
    policy = StagePolicy

    def __init__(self, rest: Any) -> None:
        self._rest = rest

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        return await self._rest(exchange)  # type: ignore[no-any-return]


def chat(text: str = ALL, **fields: Any) -> Json:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


class Echo(testing.FakeUpstream):
    """A model that says what it was told: whole, or in pieces of a few characters."""

    def __init__(self, piece: int = 5) -> None:
        super().__init__(testing.chat(""))
        self._piece = piece

    async def __call__(self, exchange: Exchange) -> Reply:
        self.seen.append(exchange)
        said = str(self.body["messages"][-1]["content"])
        if not exchange.request.stream:
            return testing.chat(said)()
        size = self._piece
        return testing.chat_stream(*(said[at : at + size] for at in range(0, len(said), size)))()

    @property
    def body(self) -> Json:
        """What it got last."""
        assert self.seen[-1].request.body is not None
        return self.seen[-1].request.body

    @property
    def text(self) -> str:
        """The last message it got."""
        return str(self.body["messages"][-1]["content"])


def said(answer: Any) -> str:
    """Give the text of an answer of either kind."""
    if isinstance(answer, dict):
        return str(answer["choices"][0]["message"]["content"])
    deltas = [choice["delta"] for event in answer for choice in (event.json or {}).get("choices", ())]
    return "".join(delta.get("content") or "" for delta in deltas)


def plain(answer: Json) -> Any:
    """Give an upstream that says this."""
    return testing.FakeUpstream(testing.chat("", **answer))


def streamed(*deltas: Json) -> Any:
    """Give an upstream that streams these deltas, each an event of its own."""

    def reply() -> Reply:
        batches = [*([testing.chunk(delta)] for delta in deltas), [testing.chunk({}, "stop")], [sse.done()]]
        return Reply(200, stream=Stream(testing.Events(batches)))

    return testing.FakeUpstream(reply)


def holds_a_value(text: str) -> list[str]:
    """Say which types have a value in this text."""
    return [type for type, value in VALUES.items() if value in text]
