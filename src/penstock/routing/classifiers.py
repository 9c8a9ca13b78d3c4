"""Classifiers: one for each set of intents that holds for somebody, learned beside the road."""

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from penstock.routing.intents import IntentClassifier

log = logging.getLogger("penstock.routing")
_MOST: Final = 16  # of 150 labels each may take some 10 MB
_MOST_NAMES: Final = 1024

Intents = Mapping[str, Sequence[str]]
"""Labels with examples."""


class Classifiers:
    """Knows intents by what they say, so that arms of experiments share those that they leave alone."""

    def __init__(self) -> None:
        self._learned: dict[bytes, IntentClassifier] = {}
        self._first = b""
        self._before: IntentClassifier | None = None
        self._names: dict[int, tuple[Intents, bytes]] = {}

    def of(self, intents: Intents) -> IntentClassifier | None:
        """Give what was learned of these; None before that, and where there are none."""
        if not intents:
            return None
        name = self._name(intents)
        return self._learned.get(name) or (self._before if name == self._first else None)

    def learn(self, intents: Intents) -> None:
        """Learn these at once; seconds for thousands of examples."""
        if intents and (name := self._name(intents)) not in self._learned:
            self._learned[name] = IntentClassifier.train(intents)

    async def turn_to(self, sets: Sequence[Intents]) -> None:
        """Learn what is new in these sets, one after the other, and forget all others.

        The first is that of the files: until it is learned, the one before it is asked in its place.
        """
        wanted = {self._name(intents): intents for intents in sets if intents}
        self._before = self._learned.get(self._first) or self._before
        self._first = self._name(sets[0])
        self._learned = {name: its for name, its in self._learned.items() if name in wanted}
        if len(wanted) > _MOST:
            log.error("experiments have %d sets of intents; %d are learned", len(wanted), _MOST)
        for name, intents in list(wanted.items())[:_MOST]:
            if name not in self._learned:
                loop = asyncio.get_running_loop()
                self._learned[name] = await loop.run_in_executor(None, IntentClassifier.train, intents)
        self._before = None

    def _name(self, intents: Intents) -> bytes:
        """Name a set by its contents, which are read once for each policy that has them."""
        known = self._names.get(id(intents))
        if known is None:
            if len(self._names) >= _MOST_NAMES:
                self._names.clear()
            name = hashlib.blake2b(msgspec.json.encode(intents), digest_size=16).digest()
            # The set is held on to, for its id would be another's when it is gone.
            known = self._names[id(intents)] = intents, name
        return known[1]
