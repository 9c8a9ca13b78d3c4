"""ephemeral: `X-DAC-Store: none` processes a request as usual and keeps nothing of it."""

from pydantic import Field

from penstock.errors import Refusal
from penstock.exchange import Decision, Exchange
from penstock.openai.request import Endpoint
from penstock.policy.base import StagePolicy
from penstock.reply import Reply
from penstock.stage import Proceed, Stage

HEADER = "x-dac-store"


class EphemeralPolicy(StagePolicy):
    """Which requests leave no trace without asking for it."""

    file = "ephemeral"

    tenants: tuple[str, ...] = Field(
        default=(), description="Tenants whose every request is ephemeral, asked for or not."
    )


class Ephemeral(Stage[EphemeralPolicy]):
    """Marks the exchange; every stage and every book that could keep something asks the mark."""

    name = "ephemeral"
    policy = EphemeralPolicy
    after = ("identify",)
    skippable = False

    def plan(self, exchange: Exchange) -> Decision:
        """Mark the exchange by the header and the tenant's default. Raises Refusal (400) for another word."""
        asked = exchange.request.headers.getall(HEADER, [])
        if any(value.strip().lower() != "none" for value in asked):
            raise Refusal(
                400, "invalid_store", "X-DAC-Store must be 'none' or be left out.", param="X-DAC-Store"
            )
        default = exchange.tenant in exchange.policies[EphemeralPolicy].tenants
        exchange.ephemeral = bool(asked) or default
        if not exchange.ephemeral:
            return Decision(self.name, "stored", "not asked for")
        return Decision(
            self.name, "ephemeral", "asked for by the client" if asked else "the tenant's default"
        )

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Mark the exchange and tell the upstream not to keep it either, where its API has a word for it."""
        decision = self.plan(exchange)
        exchange.decisions.append(decision)
        if exchange.ephemeral:
            exchange.answer_headers[HEADER] = "none"
            request = exchange.request
            if request.endpoint in (Endpoint.CHAT, Endpoint.RESPONSES) and request.body is not None:
                exchange.request = request.with_fields(store=False)
        return await proceed(exchange)
