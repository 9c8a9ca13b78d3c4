"""Aside: work that takes seconds, in a process of its own, so that no request waits for the interpreter."""

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from typing import Any, Final

_ASK_S: Final = 10.0


class Aside:
    """Does one piece of work at a time, each in a new process: its memory is given back at the end."""

    def __init__(self) -> None:
        self.pid: int | None = None

    async def run[*Given, T](
        self, still: Callable[[], Awaitable[bool]], work: Callable[[*Given], T], *given: *Given
    ) -> T | None:
        """Give `work(*given)`, or None once `still`, asked every ten seconds, says that nobody wants it.

        Raises BrokenExecutor for a process that died, and what `work` raises. To cancel it ends the process.
        """
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent)
        working = asyncio.wrap_future(pool.submit(work, *given))
        self.pid = next(iter(pool._processes), None)
        try:
            while not (await asyncio.wait([working], timeout=_ASK_S))[0]:
                if not await still():
                    return None
            return working.result()
        finally:
            self.pid = None
            _end(pool, working)


def _end(pool: ProcessPoolExecutor, working: "asyncio.Future[Any]") -> None:
    """Let the process go; one at work is stopped, for the interpreter's end would wait for it."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    if not working.done():
        working.cancel()
        for process in processes:
            process.terminate()


def _end_with_parent() -> None:
    """Let no work outlive a gateway that was killed."""
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_after, args=[parent], daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
