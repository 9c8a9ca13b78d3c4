"""An answer as it was given, put together for those who judge it, and given on as it came."""

from dataclasses import dataclass

from penstock.openai import wire_json
from penstock.openai.gather import gather
from penstock.openai.request import Endpoint, Json
from penstock.reply import Reply
from penstock.routing.hold import HeldStream


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply that was read ahead: its JSON where it is whole, and what to give the client."""

    answer: Json | None
    _reply: Reply
    _held: HeldStream | None = None

    @classmethod
    async def of(cls, reply: Reply, endpoint: Endpoint, longest_s: float) -> "Answered":
        """Read a reply; a stream for so many seconds at most."""
        if reply.status != 200:
            return cls(None, reply)
        if reply.stream is None:
            return cls(_object(reply.body), reply)
        held = await HeldStream.of(reply, longest_s)
        return cls(gather(endpoint, held.events) if held.whole else None, reply, held)

    def release(self) -> Reply:
        """Give the reply for the client."""
        return self._held.release() if self._held is not None else self._reply

    async def drop(self) -> None:
        """Let go of it; another answer goes out."""
        if self._held is not None:
            await self._held.aclose()


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
