"""identify: who pays. In open mode everyone is the tenant `default`."""

from penstock.exchange import Decision, Exchange
from penstock.policy.base import StagePolicy
from penstock.reply import Reply
from penstock.stage import Proceed, Stage


class IdentifyPolicy(StagePolicy):
    """How a client is told apart. Today there is open mode only: one tenant, `default`, and no keys."""

    file = "identify"


class Identify(Stage[IdentifyPolicy]):
    """Takes the client's key off the request and names the tenant."""

    name = "identify"
    policy = IdentifyPolicy
    skippable = False

    def plan(self, exchange: Exchange) -> Decision:
        """Name the tenant that would pay."""
        return Decision(self.name, "open", f"tenant {exchange.tenant}")

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Name the tenant; keep the client's key where only the upstream stage takes it from."""
        headers = exchange.request.headers
        scheme, _, token = headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        exchange.client_key = bearer or headers.get("api-key") or headers.get("x-api-key")
        exchange.decisions.append(self.plan(exchange))
        return await proceed(exchange)
