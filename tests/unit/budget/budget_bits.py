"""What the tests of this room share: models, limits, requests, and a till on a ledger in memory."""

from collections.abc import Callable
from datetime import UTC
from typing import Any

from multidict import CIMultiDict

from penstock import testing
from penstock.budget.books import Books
from penstock.budget.limits import Applied
from penstock.budget.policy import BudgetPolicy
from penstock.budget.reserve import Till
from penstock.budget.told import Stand
from penstock.budget.window import Period, Periods, Window
from penstock.models.policy import Model, ModelsPolicy
from penstock.openai import wire_json
from penstock.openai.request import Request, request_of
from penstock.stores.ledger import Standing
from penstock.stores.memory import MemoryLedger

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
COMPLETIONS, EMBEDDINGS = "/v1/completions", "/v1/embeddings"
TOKENS = Applied("tenant", "tokens", Window.TOTAL, 1_000)
MODEL = Model(
    input_usd_per_million=1.0, output_usd_per_million=4.0, context_tokens=8_000, max_output_tokens=500
)
MODELS = ModelsPolicy(models={"m": MODEL, "small": MODEL})
Settle = Callable[[], Any]


def applied(unit: str = "tokens", amount: int = 1_000, **more: Any) -> Applied:
    given = {"scope": "tenant", "window": Window.TOTAL, "unit": unit, "amount": amount, **more}
    return Applied(**given)


def request(path: str = CHAT, **body: Any) -> Request:
    usual = {"messages": [{"role": "user", "content": "hello"}]} if path == CHAT else {}
    return request_of("POST", path, CIMultiDict(), wire_json.encode({"model": "m", **usual, **body}))


def stand(limit: Applied = TOKENS, *, used: int = 0, reserved: int = 0, ends: float = 2e9) -> Stand:
    return Stand(limit, Period(limit.window, 0.0, ends), Standing(used, reserved))


class Shop:
    """Books and a till of one tenant, all in memory."""

    def __init__(self, **policy: Any) -> None:
        self.clock = testing.FrozenClock()
        self.ledger = MemoryLedger()
        self.books = Books(self.ledger, self.clock, 60.0)
        self.till = Till(self.ledger, self.books, Periods(), BudgetPolicy(**policy), "acme", UTC, self.clock)

    async def standing(self, limit: Applied = TOKENS) -> Standing:
        account = limit.account(self.till.periods.at(limit.window, self.clock.now(), UTC))
        (told,) = await self.ledger.read("acme", [account], now=self.clock.now())
        return told

    async def use(self, amount: int, limit: Applied = TOKENS) -> None:
        """Charge an amount at once."""
        from penstock.stores.ledger import Line

        account = limit.account(self.till.periods.at(limit.window, self.clock.now(), UTC))
        line = Line(account, limit.amount, amount)
        await self.ledger.take("acme", [(line, amount)], now=self.clock.now())
