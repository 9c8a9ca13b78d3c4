"""The ledger in Redis: one script call for each operation, and the keys of a tenant in one slot of a cluster.

What a crash of Redis costs is what its persistence says (`appendonly yes`, `appendfsync everysec`: the last
second). The server must not evict keys (`maxmemory-policy noeviction`): an evicted account is money lost.
"""

import logging
from collections.abc import Iterable, Sequence
from itertools import batched, chain
from typing import Any, Final, Self

from penstock.errors import StoreUnavailable
from penstock.stores.ledger import (
    REMEMBERED_S,
    Account,
    Denial,
    Grant,
    Line,
    Settled,
    Standing,
    check_amounts,
)
from penstock.stores.wire import Script, Waits, Wire, encoded, key_root

_log = logging.getLogger("penstock.stores")

_RESERVE, _SETTLE, _TAKE, _RENEW, _READ, _RESET, _HELD = (
    Script("ledger", f"ledger_{name}")
    for name in ("reserve", "settle", "take", "renew", "read", "reset", "held")
)
_FAMILY: Final = "penstock-ledger"
_AGAIN: Final = b"AGAIN"


class RedisLedger:
    """A `Ledger` in one Redis server."""

    def __init__(self, url: str, waits: Waits) -> None:
        # Not sent a second time: what broke half way may have happened.
        self._wire = Wire(url, waits, resend=False)

    @classmethod
    async def open(
        cls, url: str, connect_s: float = 0.25, operation_s: float = 1.0, probe_s: float = 0.5
    ) -> Self:
        """Connect; a Redis that is not there yet is tried again, and is no error. Raises StartError.

        An operation waits longer than one of the store: without a cache a call is slow, without a
        ledger it is refused.
        """
        ledger = cls(url, Waits(connect_s, operation_s, probe_s))
        await ledger._wire.start()
        await ledger._warn_of_eviction()
        return ledger

    def __repr__(self) -> str:
        return f"RedisLedger({self._wire.where})"

    async def reserve(
        self,
        tenant: str,
        reservation: str,
        lines: Sequence[Line],
        *,
        tokens: int,
        least: int,
        now: float,
        expires_at: float,
    ) -> Grant | Denial:
        """Hold every line or none; see `Ledger`."""
        check_amounts(tokens, least)
        packed = _flat(
            (*_place(line.account), line.limit, line.fixed, line.rate, int(line.charged_on_expiry))
            for line in lines
        )
        head = encoded(reservation), expires_at, tokens, min(least, tokens)
        granted, full, flat = await self._run(_RESERVE, tenant, now, *head, *packed)
        return Denial(tuple(full), _standings(flat)) if full else Grant(granted, _standings(flat))

    async def settle(
        self, tenant: str, reservation: str, lines: Sequence[tuple[Line, int]], *, now: float
    ) -> Settled | None:
        """Let go, and charge; see `Ledger`."""
        check_amounts(*(amount for _, amount in lines))
        packed = _flat(
            (*_place(line.account), amount, b"" if line.warn_from is None else line.warn_from)
            for line, amount in lines
        )
        answer = await self._run(_SETTLE, tenant, now, encoded(reservation), *packed)
        return None if answer is None else Settled(_standings(answer[1]), tuple(answer[0]))

    async def take(self, tenant: str, lines: Sequence[tuple[Line, int]], *, now: float) -> tuple[int, ...]:
        """Charge what fits; see `Ledger`."""
        check_amounts(*(amount for _, amount in lines))
        packed = _flat((*_place(line.account), line.limit, amount) for line, amount in lines)
        return tuple(await self._run(_TAKE, tenant, now, *packed))

    async def renew(self, tenant: str, reservations: Sequence[str], *, now: float, expires_at: float) -> int:
        """Let reservations live on; see `Ledger`."""
        live = {encoded(reservation) for reservation in reservations}
        return int(await self._run(_RENEW, tenant, now, expires_at, *live))

    async def read(self, tenant: str, accounts: Sequence[Account], *, now: float) -> tuple[Standing, ...]:
        """Give the accounts; see `Ledger`."""
        return _standings(await self._run(_READ, tenant, now, *_names(accounts)))

    async def reset(self, tenant: str, accounts: Sequence[Account], *, now: float) -> None:
        """Set used back to zero; see `Ledger`."""
        await self._run(_RESET, tenant, now, *_names(accounts))

    async def held(self, tenant: str, *, now: float) -> int:
        """Count the reservations under way."""
        return int(await self._run(_HELD, tenant, now))

    async def close(self) -> None:
        """Send what waits and let go of the connection."""
        await self._wire.stop()

    async def _run(self, script: Script, tenant: str, now: float, *given: bytes | float) -> Any:  # noqa: ANN401
        root = key_root(_FAMILY, tenant)
        keys = root + b"due", root + b"gone"
        head = root, now, now + REMEMBERED_S
        while True:
            answer = await self._wire.call(
                "EVALSHA", script.sha, len(keys), *keys, *head, *given, script=script
            )
            if answer != _AGAIN:
                return answer

    async def _warn_of_eviction(self) -> None:
        try:
            _, policy = await self._wire.call("CONFIG", "GET", "maxmemory-policy")
        except (StoreUnavailable, ValueError):
            return  # not there yet, or not allowed: nothing is known
        if policy != b"noeviction":
            _log.warning(
                "Redis at %s has maxmemory-policy %s: it may evict what tenants have used; set noeviction",
                *(self._wire.where, policy.decode()),
            )


def _place(account: Account) -> tuple[bytes, float]:
    return encoded(account.name), account.keep_until


def _names(accounts: Iterable[Account]) -> list[bytes]:
    return [encoded(account.name) for account in accounts]


def _flat(rows: Iterable[Iterable[bytes | float]]) -> Iterable[bytes | float]:
    return chain.from_iterable(rows)


def _standings(flat: Iterable[int]) -> tuple[Standing, ...]:
    return tuple(Standing(*three) for three in batched(flat, 3))
