"""Trail: takes records on the hot path, and a thread of its own makes them durable in batches."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from penstock.audit.chain import Chain
from penstock.audit.keys import Mac, TenantKeys
from penstock.audit.problems import AuditUnavailable
from penstock.audit.record import AnyRecord, Erased, Given, Record, Tally, is_tenant, stamp
from penstock.clock import Clock
from penstock.errors import StartError
from penstock.stores.keyring import Keyring

log = logging.getLogger("penstock.audit")

PATIENCE_S: Final = 5.0  # for one write, and for what waits on it
_AT_ONCE: Final = 1000  # records in one write, so that other processes get the lock in between
_KINDS: Final = frozenset({Record, Tally})
_KEYS_S: Final = 1.0  # after an erasure elsewhere, a key is forgotten within this


@dataclass(frozen=True, slots=True)
class Pace:
    """How often what is written, and when a file or the queue is full.

    A record is durable within about `write_s`. A head vouches for it when `head_records` lines or
    `head_s` have passed since the last one.
    """

    write_s: float = 0.1
    head_s: float = 10.0
    head_records: int = 1000
    rotate_bytes: int = 64 * 1024 * 1024
    most_waiting: int = 50_000


DEFAULT_PACE: Final = Pace()


class Trail:
    """The audit trail of a gateway; any number of gateways on one machine may share its folder.

    `add`, `check`, `flush` and `erase` are for the event loop's thread.
    """

    def __init__(self, chain: Chain, keys: TenantKeys, clock: Clock, pace: Pace) -> None:
        self._chain = chain
        self._keys = keys
        self._clock = clock
        self._pace = pace
        self._given: deque[tuple[float, Sequence[AnyRecord]]] = deque()
        self._added = 0  # only the event loop's thread counts this one, and only the writer the next
        self._written = 0
        self._waiters: deque[Future[None]] = deque()
        self._problem: str | None = None
        self._busy_since: float | None = None
        self._closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._live, name="penstock-audit", daemon=True)
        # The thread's own:
        self._unwritten: list[tuple[str, AnyRecord]] = []
        self._after_head = 0
        self._head_at = self._keys_at = clock.monotonic()

    @classmethod
    def open(
        cls,
        folder: Path,
        keyring: Keyring,
        clock: Clock,
        *,
        heads_to: Path | None = None,
        pace: Pace = DEFAULT_PACE,
    ) -> Self:
        """Open a folder's trail, or begin it. Heads are also appended to the file `heads_to`.

        Raises StartError where there is a trail that can't be continued.
        """
        chain = Chain(folder, keyring, heads_to=heads_to, rotate_bytes=pace.rotate_bytes)
        try:
            chain.start(stamp(clock.now()))
        except AuditUnavailable as problem:
            raise StartError(f"the audit trail can't be written: {problem}") from None
        trail = cls(chain, TenantKeys(folder, keyring), clock, pace)
        trail._thread.start()
        return trail

    def check(self) -> None:
        """Raise AuditUnavailable if a record that is added now might not be written."""
        if self._closing or not self._thread.is_alive():
            raise AuditUnavailable("the audit trail is closed")
        if (problem := self._problem) is not None:
            raise AuditUnavailable(problem)
        if self._added - self._written > self._pace.most_waiting:
            raise AuditUnavailable("too many records wait to be written")
        since = self._busy_since
        if since is not None and self._clock.monotonic() - since > PATIENCE_S:
            raise AuditUnavailable(
                f"the disk, or another gateway's lock, holds up a write for {PATIENCE_S} s"
            )

    def add(self, records: Sequence[Given]) -> None:
        """Hand over records to be written. Raises AuditUnavailable, and then takes none of them."""
        self.check()
        if not all(type(record) in _KINDS for record in records):  # else anything could stand in a line
            raise TypeError("the audit trail takes a Record or a Tally")
        self._given.append((self._clock.now(), records))
        self._added += len(records)

    async def flush(self) -> None:
        """Wait until all that was added is on the disk. Raises AuditUnavailable."""
        if self._closing:
            raise AuditUnavailable("the audit trail is closed")
        done: Future[None] = Future()
        self._waiters.append(done)
        self._wake.set()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wrap_future(done)
        except TimeoutError:
            raise AuditUnavailable(f"nothing could be written within {PATIENCE_S} s") from None

    async def tenant_mac(self, tenant: str) -> Mac:
        """Give the MAC that a tenant's values are recorded by. Raises AuditUnavailable.

        Ask for every request, for an erasure changes it. Only the first answer costs a look at the disk.
        """
        known = self._keys.known(tenant)
        return known if known is not None else await asyncio.to_thread(self._keys.mac, tenant)

    async def erase(self, tenant: str) -> bool:
        """Drop a tenant's key, so that no MAC can be linked to a value again; False if there is none.

        The chain stays as it is, and says so. Raises AuditUnavailable.
        """
        if not is_tenant(tenant) or not await asyncio.to_thread(self._keys.erase, tenant):
            return False
        self._given.append((self._clock.now(), [Erased(tenant)]))
        self._added += 1
        await self.flush()
        return True

    async def close(self) -> None:
        """Write all that waits, and a head. Raises AuditUnavailable for what could not be written."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join, PATIENCE_S)
        lost = self._added - self._written
        if lost or self._problem or self._thread.is_alive():
            raise AuditUnavailable(f"{lost} records were not written: {self._problem or 'the disk hangs'}")

    # From here on: the thread.

    def _live(self) -> None:
        ending = False
        while not ending:
            self._wake.wait(self._pace.write_s)
            self._wake.clear()
            ending = self._closing
            waiters = [self._waiters.popleft() for _ in range(len(self._waiters))]
            self._busy_since = self._clock.monotonic()
            problem = self._turn(ending)
            self._busy_since = None
            self._note(problem)
            for done in waiters:
                if not done.set_running_or_notify_cancel():
                    continue
                if problem is None:
                    done.set_result(None)
                else:
                    done.set_exception(AuditUnavailable(problem))

    def _turn(self, ending: bool) -> str | None:
        """Write what waits, and a head when it is time; give what went wrong."""
        try:
            self._take()
            if self._unwritten or self._problem:
                self._write()
            if self._after_head and (ending or self._head_is_due()):
                self._head()
            if self._clock.monotonic() - self._keys_at >= _KEYS_S:
                self._keys.forget_erased()
                self._keys_at = self._clock.monotonic()
        except AuditUnavailable as problem:
            return str(problem)
        except Exception as problem:
            log.exception("the audit trail's writer broke")
            return f"its writer broke: {type(problem).__name__}"
        return None

    def _take(self) -> None:
        for _ in range(len(self._given)):
            added, records = self._given.popleft()
            time = stamp(added)
            self._unwritten += [(time, record) for record in records]

    def _write(self) -> None:
        while True:
            some = self._unwritten[:_AT_ONCE]
            self._after_head = self._chain.append(some)
            del self._unwritten[:_AT_ONCE]
            self._written += len(some)
            if self._after_head >= self._pace.head_records:
                self._head()
            if not self._unwritten:
                return

    def _head_is_due(self) -> bool:
        return self._clock.monotonic() - self._head_at >= self._pace.head_s

    def _head(self) -> None:
        self._chain.checkpoint(stamp(self._clock.now()))
        self._after_head = 0
        self._head_at = self._clock.monotonic()

    def _note(self, problem: str | None) -> None:
        if problem != self._problem:
            if problem is None:
                log.warning("the audit trail can be written again")
            else:
                log.error("the audit trail can't be written: %s", problem)
        self._problem = problem
