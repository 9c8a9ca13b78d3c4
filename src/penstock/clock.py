"""The only reader of time; tests put a frozen clock in its place."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the rest of the house may ask about time."""

    def now(self) -> float:
        """Give the wall clock in seconds since the epoch; it may step back."""

    def monotonic(self) -> float:
        """Give seconds that never step back; only differences mean anything."""


class SystemClock:
    """The machine's own clock."""

    now = staticmethod(time.time)  # noqa: TID251
    monotonic = staticmethod(time.perf_counter)


class ProcessorClock(SystemClock):
    """Counts what this thread computes, and not how long others kept it from the processor."""

    monotonic = staticmethod(time.thread_time)


SYSTEM = SystemClock()
PROCESSOR = ProcessorClock()
