"""redaction: a provider never sees personal data or secrets; the client gets its own values back."""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from multidict import CIMultiDict

from penstock.audit.keys import Mac
from penstock.audit.problems import AuditUnavailable
from penstock.audit.record import Record, Tally
from penstock.audit.trail import Trail
from penstock.detect import Engine
from penstock.errors import Refusal
from penstock.exchange import Decision, Exchange
from penstock.openai import wire_json
from penstock.openai.request import Endpoint, Request
from penstock.openai.sse import Event
from penstock.policy.base import PolicySet
from penstock.redaction import (
    Action,
    AnswerRules,
    Blocked,
    Find,
    Redaction,
    Remembered,
    StreamRestorer,
    Vault,
    redact,
    restore_body,
    wants_json,
)
from penstock.redaction.envelope import telling_answer_headers, telling_headers, telling_query
from penstock.redaction.lane import read_and_restored
from penstock.redaction.plugged import plugged_detectors
from penstock.redaction.policy import RedactionPolicy, Rules
from penstock.reply import Observer, Outcome, Reply
from penstock.stage import Proceed, Resources, Stage

log = logging.getLogger("penstock.redaction")
_READ: Final = (Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS)
_REMEMBERED_BYTES: Final = 8 * 1024 * 1024
_IN_A_THREAD_BYTES: Final = 128 * 1024  # from here on reading would hold up everybody else's streams


@dataclass(frozen=True, slots=True)
class _Reader:
    """What reads for the tenants that share its rules."""

    rules: Rules
    find: Remembered


@dataclass(frozen=True, slots=True)
class _Work:
    """What reads one exchange, and where it is written down."""

    policy: RedactionPolicy
    rules: Rules
    find: Find
    vault: Vault
    books: "_Books"


class Redact(Stage[RedactionPolicy]):
    """Replaces on the way in, restores on the way out, and writes down each finding without its value."""

    name = "redaction"
    policy = RedactionPolicy
    after = ("identify", "ephemeral")
    skippable = False

    async def start(self, resources: Resources) -> None:
        """Take the keyring; the audit trail is opened once a policy has the stage in its chain.

        Raises StartError for a plugged-in detector that can't be made.
        """
        self._resources = resources
        self._keyring = resources.keyring
        self._clock = resources.clock
        self._trail: Trail | None = None
        self._plugged = plugged_detectors()
        self._readers: dict[tuple[int, str], tuple[RedactionPolicy, _Reader]] = {}

    async def stop(self) -> None:
        """Write what waits for the audit trail."""
        try:
            if self._trail is not None:
                await self._trail.close()
        except AuditUnavailable as problem:
            log.error("the audit trail could not be finished: %s", problem)

    def accept(self, policies: PolicySet) -> None:
        """Open the audit trail and build the engine before the first request needs them."""
        if self._trail is None:
            lent = self._resources
            heads = policies[RedactionPolicy].audit_heads
            self._trail = Trail.open(
                lent.state / "audit", lent.keyring, lent.clock, heads_to=Path(heads) if heads else None
            )
        self._readers = {}
        self._reader(policies[RedactionPolicy], "default")

    def plan(self, exchange: Exchange) -> Decision:
        """Say whether the request can be read. Raises Refusal (403) where nobody can."""
        endpoint, policy = exchange.request.endpoint, exchange.policies[RedactionPolicy]
        if endpoint is Endpoint.MODELS:
            return Decision(self.name, "pass", "nothing to read")
        if endpoint in _READ:
            return Decision(self.name, "read", policy.direction)
        if policy.lets_pass_unread(exchange.request.path):
            return Decision(self.name, "unread", "listed in redaction.yaml: unread")
        raise Refusal(
            403,
            "redaction_unread",
            "This gateway redacts, and can't read this endpoint. Its policy redaction.yaml may list the path "
            "under 'unread'.",
        )

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Redact, proceed, restore."""
        plan = self.plan(exchange)
        if plan.action != "read":
            exchange.decisions.append(plan)
            return await proceed(exchange)
        policy = exchange.policies[RedactionPolicy]
        reader = self._reader(policy, exchange.tenant)
        vault = Vault(partial(self._keyring.mac, f"redaction:{exchange.tenant}"))
        books = await self._books(exchange, vault)
        work = _Work(policy, reader.rules, reader.find.of(exchange.tenant), vault, books)
        asked = exchange.request
        if policy.direction != "response":
            self._read_envelope(exchange, work)
            await self._redact(exchange, work)
        else:
            exchange.decide(self.name, "read", "responses only")
        rules = None
        if policy.direction != "request":
            rules = AnswerRules(work.find, work.rules.actions)
        try:
            reply = await proceed(exchange)
        except Refusal as refusal:  # it may carry headers of an upstream
            _leave_out(CIMultiDict(refusal.headers), rules, refusal.headers)
            raise
        _leave_out(reply.headers, rules, reply.headers)
        return await self._restored(asked, reply, work, rules)

    def _read_envelope(self, exchange: Exchange, work: _Work) -> None:
        """Leave out headers that hold something; refuse a query that does, for nobody can restore it."""
        request = exchange.request
        if type := telling_query(request.query, work.find):
            exchange.decide(self.name, "blocked", type)
            blocked = Blocked(type, "?")
            work.books.note_blocked("request", blocked)
            raise blocked
        if names := telling_headers(request.headers, work.find):
            headers = request.headers.copy()
            for name in names:
                headers.popall(name, None)
            exchange.request = replace(request, headers=headers)

    async def _redact(self, exchange: Exchange, work: _Work) -> None:
        request, books = exchange.request, work.books
        reading = partial(
            redact,
            request.endpoint,
            request.body or {},
            work.find,
            work.vault,
            work.rules.actions,
            files=work.rules.files,
        )
        try:
            body, found = await self._within_budget(request.size_bytes, reading, work.policy)
        except Blocked as blocked:
            exchange.decide(self.name, "blocked", _recorded(blocked.type))
            books.note_blocked("request", blocked)
            raise
        except Refusal:
            raise
        except Exception as problem:
            log.error("reading %s failed: %s", exchange.id, type(problem).__name__)
            raise _unavailable() from None
        books.note("request", found)
        if work.policy.structural == "block" and (kept := _kept(found)) is not None:
            exchange.decide(self.name, "blocked", kept.type)
            raise Blocked(kept.type, kept.pointer)
        exchange.decide(self.name, "redacted" if found else "clean", _counted(found))
        if found:
            exchange.answer_headers["x-dac-redactions"] = _counted(found)
            exchange.request = request.with_body(body)

    async def _within_budget[T](self, size_bytes: int, work: Callable[[], T], policy: RedactionPolicy) -> T:
        """Do the work here if it is small, else in a thread. Raises Refusal when it takes too long."""
        began, budget_s = self._clock.monotonic(), policy.time_budget_ms / 1000
        try:
            if size_bytes > _IN_A_THREAD_BYTES:
                done = await asyncio.wait_for(asyncio.to_thread(work), budget_s)
            else:
                done = work()
        except TimeoutError:
            raise _unavailable() from None
        if self._clock.monotonic() - began > budget_s:
            raise _unavailable()
        return done

    async def _restored(self, asked: Request, reply: Reply, work: _Work, rules: AnswerRules | None) -> Reply:
        """Give the client's own values back; what broke on the way is refused, never passed on half done."""
        vault, books = work.vault, work.books
        json_text = wants_json(asked.endpoint, asked.body or {})
        if reply.stream is not None:
            restorer = StreamRestorer(asked.endpoint, vault, json_text=json_text, rules=rules)
            return reply.observed_by(_Restoring(restorer, rules, books))
        if not reply.body or not (vault.size or rules is not None):
            return reply
        if 200 <= reply.status < 300:
            reading = partial(_whole, asked.endpoint, reply.body, vault, json_text, rules)
        elif rules is not None:
            reading = partial(_told, reply.body, vault, rules)
        else:
            return reply
        try:
            reply.body = await self._within_budget(len(reply.body), reading, work.policy)
        except Blocked as blocked:
            books.note("response", rules.redactions if rules else ())
            books.note_blocked("response", blocked)
            raise
        except (RecursionError, ValueError):
            raise _unavailable() from None
        books.note("response", rules.redactions if rules else ())
        return reply

    def _reader(self, policy: RedactionPolicy, tenant: str) -> _Reader:
        """Give a tenant's reader, made at its first use and kept as long as the policy lives."""
        name = id(policy), tenant if tenant in policy.tenants else ""
        known = self._readers.get(name)
        if known is not None and known[0] is policy:
            return known[1]
        rules = policy.rules(tenant)
        mac = partial(self._keyring.mac, "redaction memory")
        engine = Engine(rules.config, self._plugged)
        reader = _Reader(rules, Remembered(engine.find, mac, limit_bytes=_REMEMBERED_BYTES))
        self._readers[name] = policy, reader
        return reader

    async def _books(self, exchange: Exchange, vault: Vault) -> "_Books":
        """Open an exchange's books; a trail that can't be written refuses the request."""
        trail = self._trail
        if trail is None:
            raise _unavailable()
        try:
            trail.check()
            mac = await trail.tenant_mac(exchange.tenant)
        except AuditUnavailable:
            raise _unavailable() from None
        return _Books(trail, exchange, mac)


class _Books:
    """Writes an exchange's findings into the audit trail; of an ephemeral one, only counts remain."""

    def __init__(self, trail: Trail, exchange: Exchange, mac: Mac) -> None:
        self._trail = trail
        self._exchange = exchange
        self._mac = mac

    def note(self, direction: str, found: Sequence[Redaction]) -> None:
        """Write them down. Raises Refusal when that can't be."""
        self._exchange.redactions.update((one.type, one.action.value) for one in found)
        if found and self._exchange.ephemeral:
            digest, tenant = self._exchange.policies.digest, self._exchange.tenant
            counts = Counter(one.type for one in found)
            self._add([Tally(tenant, type, number, digest) for type, number in counts.items()])
        elif found:
            self._add([self._record(direction, one) for one in found])

    def note_blocked(self, direction: str, blocked: Blocked) -> None:
        """Write down what the policy did not let through; nothing is known of the value itself."""
        type = _recorded(blocked.type)
        self.note(direction, [Redaction(blocked.pointer, 0, 0, type, "", "", False, Action.BLOCK, "00" * 16)])

    def _add(self, records: Sequence[Record | Tally]) -> None:
        try:
            self._trail.add(records)
        except AuditUnavailable:
            raise _unavailable() from None

    def _record(self, direction: str, one: Redaction) -> Record:
        return Record(
            tenant=self._exchange.tenant,
            request=self._exchange.id,
            direction="response" if direction == "response" else "request",
            pointer=one.pointer,
            start=one.start,
            end=one.end,
            type=one.type,
            detector=one.detector or "unnamed",
            version=one.version or "0",
            checked=one.checked,
            action=one.action.value,
            policy=self._exchange.policies.digest,
            value_mac=self._mac(bytes.fromhex(one.mac)).hex(),
        )


class _Restoring(Observer):
    """Restores a stream, and writes down at its end what was found in it."""

    def __init__(self, restorer: StreamRestorer, rules: AnswerRules | None, books: _Books) -> None:
        self._restorer = restorer
        self._redactions = rules.redactions if rules is not None else []
        self._books = books
        self._noted = 0

    def event(self, event: Event) -> Sequence[Event]:
        """Give the event with the client's values in it."""
        return self._noting(lambda: self._restorer.event(event))

    def last(self) -> Sequence[Event]:
        """Give what was held back."""
        return self._noting(self._restorer.last)

    def refused(self, event: Event) -> Event:
        """Give an upstream's error as the rest of its answer is given."""
        (told,) = self._noting(lambda: (self._restorer.refused(event),))
        return told

    async def ended(self, outcome: Outcome) -> None:
        """Write down what is not yet, however the stream ended."""
        self._note()

    def _noting(self, work: Callable[[], Sequence[Event]]) -> Sequence[Event]:
        """Write down what was found before anything of it goes on; what can't be written ends the stream."""
        try:
            return work()
        except Blocked as blocked:
            self._books.note_blocked("response", blocked)
            raise
        finally:
            self._note()

    def _note(self) -> None:
        new = self._redactions[self._noted :]
        self._noted += len(new)
        if new:
            self._books.note("response", new)


def _whole(
    endpoint: Endpoint, body: bytes, vault: Vault, json_text: bool, rules: AnswerRules | None
) -> bytes:
    """Read and restore an answer. Raises Blocked, and ValueError for what is no JSON."""
    answer = wire_json.decode(body)
    restored = restore_body(endpoint, answer, vault, json_text=json_text, rules=rules)
    return body if restored is answer else wire_json.encode(restored)


def _told(body: bytes, vault: Vault, rules: AnswerRules) -> bytes:
    """Read and restore what an upstream says instead of an answer."""
    text = body.decode("utf-8", "replace")
    told = read_and_restored(vault, rules, text, "", escaped=True, call=True)
    return body if told == text else told.encode()


def _leave_out(read: CIMultiDict[str], rules: AnswerRules | None, headers: MutableMapping[str, str]) -> None:
    """Take headers of an upstream's away in which something stands."""
    if rules is not None and (names := telling_answer_headers(read, rules.find)):
        for name in [name for name in headers if name in names]:
            headers.pop(name, None)


def _kept(found: Sequence[Redaction]) -> Redaction | None:
    """Give the first finding that stands where nothing can be replaced."""
    return next((one for one in found if one.action is Action.STRUCTURAL), None)


def _recorded(type: str) -> str:
    """Give the word for what was blocked: of a file, nothing that the client wrote about it."""
    return type if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", type) else "FILE"


def _counted(found: Sequence[Redaction]) -> str:
    counts = Counter(one.type for one in found)
    return ", ".join(f"{type}={number}" for type, number in sorted(counts.items()))


def _unavailable() -> Refusal:
    return Refusal(503, "redaction_unavailable", "The gateway can't read this, and passes on nothing unread.")
