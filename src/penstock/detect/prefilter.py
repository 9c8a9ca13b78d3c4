"""One pass over the bytes that says which rules can match at all."""

import threading
from functools import lru_cache

import hyperscan

ONCE = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_CASELESS


@lru_cache(maxsize=16)
def _compiled(expressions: tuple[str, ...], flags: int) -> hyperscan.Database:
    """Compile once for each set of gates: the engines of tenants with the same types share one database."""
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[expression.encode("latin-1") for expression in expressions],
        ids=list(range(len(expressions))),
        elements=len(expressions),
        flags=[flags] * len(expressions),
    )
    return database


class Automaton:
    """Many expressions in one automaton. Compiled at start, kept in memory only; threads may share it."""

    def __init__(self, expressions: tuple[str, ...], flags: int) -> None:
        self._database = _compiled(expressions, flags)
        self._own = threading.local()

    def scan(self, data: bytes) -> list[tuple[int, int]]:
        """Give (index of the expression, offset after the match), as they occur."""
        scratch = getattr(self._own, "scratch", None)
        if scratch is None:  # a scratch serves one thread at a time
            scratch = self._own.scratch = hyperscan.Scratch(self._database)
        hits: list[tuple[int, int]] = []

        def note(index: int, start: int, end: int, flags: int, context: object) -> None:
            hits.append((index, end))

        self._database.scan(data, match_event_handler=note, scratch=scratch)
        return hits


class Prefilter:
    """The gates of all rules.

    A gate reports once for each text however often it matches, so a flood of matches costs no more than one.
    """

    def __init__(self, gates: tuple[str, ...]) -> None:
        self._automaton = Automaton(gates, ONCE)

    def scan(self, data: bytes) -> list[int]:
        """Give the indexes of the gates that occur."""
        return [gate for gate, _ in self._automaton.scan(data)]
