"""Assignment: a keyed hash says which arm a tenant, a user or a thread is in, the same in every process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from penstock.exchange import Exchange
from penstock.experiment.policy import Experiment, Unit
from penstock.openai import wire_json
from penstock.openai.request import Endpoint, Request
from penstock.stores.keyring import Keyring

BUCKETS: Final = 32
"""Units are counted in so many groups, so that the spread between units can be seen (see sequential.py)."""

THREAD_HEADER: Final = "x-dac-thread"
TAKES_PART: Final = (Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS)
_LONGEST: Final = 512
_SCALE: Final = 2**64


@dataclass(frozen=True, slots=True)
class Place:
    """Where a unit stands in an experiment: its arm, and its bucket among that arm's units."""

    arm: str
    bucket: int


class Assigner:
    """Assigns units to arms. Nothing is kept: the same unit always comes to the same arm."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def unit(self, exchange: Exchange, kind: Unit, request: Request | None = None) -> bytes | None:
        """Give the keyed hash of whom an exchange belongs to; None where it does not say.

        `request` is the one to read where the exchange's own has been changed since.
        """
        request = request or exchange.request
        if kind == "tenant":
            return self._keyring.mac("experiment unit", b"tenant", exchange.tenant.encode())
        whose = self._user(exchange, request)
        if kind == "user":
            return whose
        said = _thread(request)
        if said is None:
            return None
        return self._keyring.mac("experiment unit", b"thread", exchange.tenant.encode(), whose or b"", said)

    def known(self, exchange: Exchange, request: Request) -> bool:
        """Say whether somebody told whose request it is: a user, a thread or a conversation."""
        named = request.headers.get(THREAD_HEADER, "").strip() or (request.body or {}).get("conversation")
        return bool(named) or self._user(exchange, request) is not None

    def place(self, name: str, experiment: Experiment, unit: bytes) -> Place:
        """Give a unit's arm and bucket. Other experiments have no part in it."""
        drawn = self._keyring.mac("experiment arm", name.encode(), unit)
        whole = sum(arm.weight for arm in experiment.arms.values())
        point = int.from_bytes(drawn[:8]) / _SCALE * whole
        bucket = drawn[8] % BUCKETS
        for arm, its in experiment.arms.items():
            point -= its.weight
            if point < 0:
                return Place(arm, bucket)
        return Place(arm, bucket)  # what rounding leaves over

    def _user(self, exchange: Exchange, request: Request) -> bytes | None:
        """Give the hash of the key's user, or else of the one that the body names."""
        body = request.body or {}
        named = next((body[key] for key in ("safety_identifier", "user") if _word(body.get(key))), "")
        user = (b"key", exchange.user.encode()) if exchange.user else (b"body", _bytes(named))
        if not user[1]:
            return None
        return self._keyring.mac("experiment unit", b"user", exchange.tenant.encode(), *user)


def _word(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")[:_LONGEST]


def _thread(request: Request) -> bytes | None:
    """Give what names the thread: the client's header, its conversation, or the first messages."""
    if named := request.headers.get(THREAD_HEADER, "").strip():
        return b"header\n" + _bytes(named)
    body = request.body or {}
    if request.endpoint is Endpoint.RESPONSES:
        conversation = body.get("conversation")
        if isinstance(conversation, Mapping):
            conversation = conversation.get("id")
        if isinstance(conversation, str) and conversation:
            return b"conversation\n" + _bytes(conversation)
        if body.get("previous_response_id") is not None:
            return None  # the first messages are not in this request
    said = body.get("messages") if request.endpoint is Endpoint.CHAT else body.get("input")
    if request.endpoint is Endpoint.COMPLETIONS:
        said = body.get("prompt")
    first = _first(said)
    return None if first is None else b"messages\n" + wire_json.encode([body.get("instructions"), first])


def _first(said: Any) -> Any:  # noqa: ANN401 - any JSON may have come
    """Give the messages up to the first of the user's."""
    if not isinstance(said, list):
        return said or None
    for place, message in enumerate(said):
        if isinstance(message, Mapping) and message.get("role") == "user":
            return said[: place + 1]
    return said or None
