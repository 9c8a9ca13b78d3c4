"""A shared call is paid in equal parts by those that shared it, as far as their own limits have room."""

from datetime import UTC

import pytest

from penstock import testing
from penstock.budget.books import Books
from penstock.budget.limits import Applied
from penstock.budget.policy import BudgetPolicy
from penstock.budget.reserve import Till
from penstock.budget.split import Split
from penstock.budget.told import Stand
from penstock.budget.window import Periods, Window
from penstock.exchange import Exchange
from penstock.stores.ledger import Standing
from penstock.stores.memory import MemoryLedger

CLOCK = testing.FrozenClock()


def limit(scope: str, amount: int = 1_000, unit: str = "tokens") -> Applied:
    return Applied(scope, unit, Window.TOTAL, amount)


def by(user: str) -> Exchange:
    exchange = testing.exchange()
    exchange.tenant, exchange.user = "acme", user
    return exchange


class House:
    """One tenant whose users may have limits of their own."""

    def __init__(self, **amounts: int) -> None:
        self.ledger = MemoryLedger()
        self.periods = Periods()
        books = Books(self.ledger, CLOCK, 60)
        till = Till(self.ledger, books, self.periods, BudgetPolicy(), "acme", UTC, CLOCK)
        self._limits = {user: limit(f"user:{user}", amount) for user, amount in amounts.items()}
        self._split = Split(till, self._limits_for)
        self._books = books

    def _limits_for(self, exchange: Exchange) -> list[Applied]:
        own = self._limits.get(exchange.user)
        return [limit("tenant"), *([own] if own else [])]

    def stand(self, of: Applied) -> Stand:
        return Stand(of, self.periods.at(of.window, CLOCK.now(), UTC), Standing())

    async def parts(self, limits: list[Applied], charges: list[int], *users: str) -> list[int]:
        stands = [self.stand(of) for of in limits]
        try:
            return list(await self._split.parts([by(user) for user in users], stands, charges))
        finally:
            await self._books.close()

    async def used(self, user: str) -> int:
        of = self._limits[user]
        account = of.account(self.periods.at(of.window, CLOCK.now(), UTC))
        (standing,) = await self.ledger.read("acme", [account], now=CLOCK.now())
        return standing.used


async def test_two_sharers_take_a_third_each_and_the_tenant_s_charge_stays_whole() -> None:
    house = House(ada=1_000, bob=1_000, cyd=1_000)
    parts = await house.parts([limit("tenant"), limit("user:ada")], [300, 300], "bob", "cyd")
    assert parts == [300, 100]
    assert (await house.used("bob"), await house.used("cyd")) == (100, 100)


async def test_nobody_is_charged_beyond_a_limit_and_the_rest_stays_with_the_leader() -> None:
    house = House(bob=30)
    assert await house.parts([limit("tenant"), limit("user:ada")], [200, 200], "bob") == [200, 170]
    assert await house.used("bob") == 30


async def test_a_sharer_without_a_limit_pays_its_part_where_nobody_counts() -> None:
    assert await House().parts([limit("user:ada")], [200], "bob") == [100]


@pytest.mark.parametrize("unit", ["requests", "streams"])
async def test_only_tokens_and_money_are_divided(unit: str) -> None:
    house = House(bob=1_000)
    limits = [limit("user:ada", unit=unit), limit("user:ada")]
    assert await house.parts(limits, [1, 100], "bob") == [1, 50]


async def test_a_user_who_shares_with_itself_pays_all_of_it() -> None:
    house = House(ada=1_000)
    (rest,) = await house.parts([limit("user:ada")], [100], "ada")
    assert rest + await house.used("ada") == 100
