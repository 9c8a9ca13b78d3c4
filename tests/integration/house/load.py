"""Load: threads that send requests until told to stop, and what became of them."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Self

from tests.integration.house.house_parts import Answer


class Load:
    """Calls `send(number)` from many threads. `answers` counts what `told` says of each answer."""

    def __init__(
        self,
        send: Callable[[int], Answer],
        threads: int = 16,
        told: Callable[[Answer], str] = lambda answer: str(answer.status),
    ) -> None:
        self._send = send
        self._told = told
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._next = 0
        self.answers: Counter[str] = Counter()
        self.broken: list[OSError] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    @property
    def count(self) -> int:
        return sum(self.answers.values())

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                number = self._next
                self._next += 1
            try:
                answer = self._send(number)
            except OSError as problem:  # the connection broke: that is for the test to judge
                with self._lock:
                    self.broken.append(problem)
                self._stop.wait(0.01)
            else:
                with self._lock:
                    self.answers[self._told(answer)] += 1

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a request never ended"
