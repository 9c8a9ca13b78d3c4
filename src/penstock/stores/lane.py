"""Lane: a thread with a SQLite connection of its own, fed by the event loop in batches."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any, Final, cast

from penstock.errors import StartError, StoreUnavailable

PATIENCE_S: Final = 5.0  # for opening and closing
_MOST_WAITING: Final = 1024  # operations in front of a disk that hangs; what comes after is refused


@dataclass(slots=True, eq=False)
class _Job:
    """What to do with the connection; `done` rings when `result` or `problem` is there."""

    work: Callable[[Connection], Any]
    done: asyncio.Future[None]
    result: Any = None
    problem: Exception | None = None


class Lane:
    """A thread with a connection of its own; `begin` opens the transaction that jobs of one wake-up share."""

    def __init__(self, begin: str, connect: Callable[[], Connection]) -> None:
        self._begin = begin
        self._connect = connect
        self._connection: Connection | None = None
        self._loop = asyncio.get_running_loop()
        self._gathered: list[_Job] = []  # in this turn of the loop; handed over together at its end
        self._handed: queue.SimpleQueue[Sequence[_Job | None]] = queue.SimpleQueue()
        self._waiting = 0
        self._open = False
        self._ended = self._loop.create_future()
        self._thread = threading.Thread(target=self._live, name="penstock-sqlite", daemon=True)

    async def start(self) -> None:
        """Start the thread and open its connection. Raises StoreUnavailable."""
        self._thread.start()
        self._open = True
        await self.ask(PATIENCE_S, lambda connection: None)

    async def ask[*Given, T](
        self, timeout_s: float, work: Callable[[Connection, *Given], T], *given: *Given
    ) -> T:
        """Give `work(connection, *given)`, done in the thread. Raises StoreUnavailable, also when late."""
        if not self._open:
            raise StoreUnavailable("the store is closed")
        if self._waiting >= _MOST_WAITING:
            raise StoreUnavailable("too many operations wait for SQLite")
        job = _Job(lambda connection: work(connection, *given), self._loop.create_future())
        self._waiting += 1
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(job)
        try:
            async with asyncio.timeout(timeout_s):
                await job.done
        except TimeoutError:
            raise StoreUnavailable(f"SQLite did not answer within {timeout_s} s") from None
        if job.problem is not None:
            raise StoreUnavailable(_reason(job.problem)) from None
        return cast(T, job.result)

    async def stop(self) -> None:
        """Finish what waits, and end the thread."""
        self._open = False
        self._hand_over()
        self._handed.put([None])
        if self._thread.is_alive():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._ended), PATIENCE_S)

    def _hand_over(self) -> None:
        self._handed.put(self._gathered)
        self._gathered = []

    def _deliver(self, jobs: list[_Job]) -> None:
        self._waiting -= len(jobs)
        for job in jobs:
            if not job.done.done():  # else nobody waits any more
                job.done.set_result(None)

    # From here on: the thread.

    def _live(self) -> None:
        """Do all that waits until None comes."""
        taken: list[_Job | None] = []
        while None not in taken:
            taken = list(self._handed.get())
            while not self._handed.empty():
                taken += self._handed.get()
            if jobs := [job for job in taken if job]:
                self._run(jobs)
                self._tell(self._deliver, jobs)
        if self._connection:
            self._connection.close()
        self._tell(self._ended.set_result, None)

    def _run(self, jobs: list[_Job]) -> None:
        """Run the jobs in one transaction: all of it is kept, or every job has the problem."""
        try:
            with self._transaction() as connection:
                for job in jobs:
                    if not job.done.done():  # else its caller has left
                        job.result = job.work(connection)
        except Exception as problem:
            for job in jobs:
                job.problem = problem

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Lend the connection; one that failed is closed, which rolls back, and made anew next time."""
        connection = self._connection or self._connect()
        self._connection = None
        try:
            connection.execute(self._begin)
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it all who wait
            self._loop.call_soon_threadsafe(function, *arguments)


def _reason(problem: Exception) -> str:
    """Say what went wrong without SQLite's or Python's own words, which may quote a value."""
    if isinstance(problem, StartError | OSError):
        return str(getattr(problem, "strerror", problem))
    name = getattr(problem, "sqlite_errorname", type(problem).__name__)
    return "it is not a SQLite database" if name == "SQLITE_NOTADB" else f"SQLite failed: {name}"
