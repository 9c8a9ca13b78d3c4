"""An answer as it was given, put together for those who judge it, and given on as it came."""

from dataclasses import dataclass, field

from penstock.errors import Refusal
from penstock.openai import wire_json
from penstock.openai.gather import gather
from penstock.openai.request import Endpoint, Json
from penstock.reply import Reply
from penstock.routing.hold import HeldStream
from penstock.routing.logprobs import Without, without


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply that was read ahead: its JSON where it is whole, what broke it, and what to give the client.

    `unasked` says that it holds log-probabilities that the client must not get.
    """

    answer: Json | None
    broken: Refusal | None
    _reply: Reply
    _endpoint: Endpoint
    _unasked: bool = False
    _held: HeldStream | None = None

    @classmethod
    async def of(
        cls, reply: Reply, endpoint: Endpoint, longest_s: float, *, unasked: bool = False
    ) -> "Answered":
        """Read a reply; a stream for so many seconds at most."""
        if reply.status != 200:
            return cls(None, None, reply, endpoint)
        if reply.stream is None:
            return cls(_object(reply.body), None, reply, endpoint, unasked)
        held = await (
            HeldStream.of(reply, longest_s, Without(endpoint).event)
            if unasked
            else HeldStream.of(reply, longest_s)
        )
        answer = gather(endpoint, held.events) if held.whole else None
        return cls(answer, held.broken, reply, endpoint, unasked, held)

    def release(self) -> Reply:
        """Give the reply for the client."""
        if self._held is not None:
            return self._held.release()
        if not self._unasked:
            return self._reply
        return Reply(self._reply.status, self._reply.headers, without(self._endpoint, self._reply.body))

    async def drop(self) -> None:
        """Let go of it; another answer goes out."""
        if self._held is not None:
            await self._held.aclose()


@dataclass(slots=True)
class Cascaded(Reply):
    """The reply that a cascade gives: of which `model`, and what the small model had answered.

    Whoever compares the two models needs to ask neither again.
    """

    model: str = ""
    small: Json | None = field(default=None, repr=False)

    @classmethod
    def by(cls, reply: Reply, model: str, small: Json | None) -> "Cascaded":
        """Give a reply with what is known of it."""
        return cls(reply.status, reply.headers, reply.body, reply.stream, model, small)


async def whole(reply: Reply, endpoint: Endpoint) -> Json | None:
    """Read a reply that was asked for in one piece; a stream all the same is let go."""
    answered = await Answered.of(reply, endpoint, 0.0)
    await answered.drop()
    return answered.answer


def _object(body: bytes) -> Json | None:
    try:
        answer = wire_json.decode(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
