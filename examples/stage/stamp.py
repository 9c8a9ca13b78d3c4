"""stamp: a stage of your own. It puts a number on every answer, in the header `x-dac-stamp`."""

from typing import Annotated

from pydantic import Field

from penstock.exchange import Decision, Exchange
from penstock.policy.base import StagePolicy
from penstock.reply import Reply
from penstock.stage import Proceed, Resources, Stage

HEADER = "x-dac-stamp"


class StampPolicy(StagePolicy):
    """What the stamp says."""

    file = "stamp"

    text: Annotated[str, Field(pattern=r"^[\w-]{1,20}$")] = Field(
        default="no", description="The word before the number."
    )


class Stamp(Stage[StampPolicy]):
    """Counts the requests that pass, and tells each client its number."""

    name = "stamp"
    policy = StampPolicy
    after = ("identify",)

    async def start(self, resources: Resources) -> None:
        """Begin to count."""
        self._count = 0

    def plan(self, exchange: Exchange) -> Decision:
        """Say that every request is stamped."""
        return Decision(self.name, "stamp", f"with the word {exchange.policies[StampPolicy].text!r}")

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Stamp whatever the rest of the road answers, errors included."""
        self._count += 1
        exchange.decisions.append(self.plan(exchange))
        exchange.answer_headers[HEADER] = f"{exchange.policies[StampPolicy].text} {self._count}"
        return await proceed(exchange)
