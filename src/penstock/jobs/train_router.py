"""train_router: makes new scorers of what outcomes taught, and lets them live if they win."""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import random
import threading
from asyncio import Task
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Final

import msgspec

from penstock.clock import Clock
from penstock.errors import StoreUnavailable
from penstock.jobs.turn import Turn
from penstock.routing.features import Features
from penstock.routing.feedback import examples
from penstock.routing.fit import Example, fit
from penstock.routing.guarantee import Kept, Labelled, keep_within
from penstock.routing.learner import Comparison, Learner
from penstock.routing.outcomes import Outcome, Outcomes
from penstock.routing.policy import RoutingPolicy
from penstock.routing.versions import Version, Versions
from penstock.routing.weights import NOTHING, Weights

log = logging.getLogger("penstock.routing")
_LOOK_S: Final = 2.0
_RENEW_S: Final = 10.0  # while a fit takes its time
_ANSWERS: Final = 5_000
_CALIBRATED: Final = 0.3  # of the judged answers set the threshold and teach nothing

Place = tuple[str, str]
"""A tenant and an alias."""


@dataclass(slots=True)
class _School:
    """What one alias of one tenant has taught so far."""

    learner: Learner
    answers: deque[tuple[Features, bool]] = field(default_factory=lambda: deque(maxlen=_ANSWERS))
    calibrated: deque[tuple[Features, bool]] = field(default_factory=lambda: deque(maxlen=_ANSWERS))
    fresh: int = 0
    trained_at: float = 0.0


class TrainRouter:
    """Takes outcomes while it is this process's turn, and trains in a process of its own."""

    def __init__(
        self,
        outcomes: Outcomes,
        versions: Versions,
        turn: Turn,
        clock: Clock,
        policy: Callable[[], RoutingPolicy],
        rng: random.Random,
    ) -> None:
        self._outcomes = outcomes
        self._versions = versions
        self._turn = turn
        self._clock = clock
        self._policy = policy
        self._rng = rng
        self._schools: dict[Place, _School] = {}
        self._pool: ProcessPoolExecutor | None = None
        self._running: Task[None] | None = None

    def start(self) -> None:
        """Begin to look for outcomes."""
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop, and let another process go on."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        if self._pool is not None:
            workers = list((self._pool._processes or {}).values())
            self._pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:  # the interpreter's end would wait for a fit that nobody wants any more
                worker.terminate()
        with contextlib.suppress(StoreUnavailable):
            await self._turn.give_up()

    async def look(self) -> None:
        """Take what is there, and train what has learned enough. Raises StoreUnavailable."""
        for outcome in await self._outcomes.take():
            self._learn(outcome)
        learn = self._policy().learn
        now = self._clock.now()
        for place, school in list(self._schools.items()):
            if school.fresh >= learn.least_outcomes and now >= school.trained_at + learn.every_s:
                school.fresh, school.trained_at = 0, now
                await self._train(place, school)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                if self._policy().aliases and await self._turn.mine():
                    await self.look()
            except StoreUnavailable:
                continue
            except Exception:
                log.exception("the router could not be trained; it goes on with what it has")

    def _learn(self, outcome: Outcome) -> None:
        place = outcome.tenant, outcome.alias
        school = self._schools.setdefault(place, _School(Learner(self._rng)))
        with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError, ValueError):
            school.learner.observe(outcome.observed())
            school.fresh += 1
            if outcome.small_right is not None and outcome.answer_features:
                told = msgspec.msgpack.decode(
                    outcome.answer_features, type=tuple[set[int], set[int], set[int]]
                )
                kept = school.calibrated if self._rng.random() < _CALIBRATED else school.answers
                kept.append((Features(*told), outcome.small_right))

    async def _train(self, place: Place, school: _School) -> None:
        """Make a candidate, and make it live where it wins on what was held back."""
        taught = list(examples(school.learner.taught))
        candidate = await self._fitted(taught)
        verdict = school.learner.compare(self._versions.weights(*place), candidate)
        trust, promise = await self._trust(place, school)
        await self._versions.look()  # a version may have been put back meanwhile
        history = self._versions.history(*place)
        live = history.version()
        if not verdict.wins and promise == (live.promise if live else None):
            log.info("scorer of %s/%s stays: %s", *place, _said(verdict))
            return
        gain = candidate if verdict.wins else self._versions.weights(*place)
        number = max((version.number for version in history.versions), default=0) + 1
        version = Version(
            number,
            self._clock.now(),
            len(school.learner),
            _said(verdict),
            gain.packed(),
            trust.packed(),
            promise,
            gain.digest(),
        )
        history.add(version)
        await self._versions.write(history)
        log.info("scorer %d of %s/%s is live: %s", number, *place, _said(verdict))

    async def _trust(self, place: Place, school: _School) -> tuple[Weights, Kept | None]:
        """Learn whom to trust after the answer, and find the threshold that keeps the promise."""
        alias = self._policy().aliases.get(place[1])
        if alias is None or alias.cascade is None or not school.answers:
            return NOTHING, None
        trust = await self._fitted([Example(seen, 0.0 if right else 1.0) for seen, right in school.answers])
        if alias.cascade.max_error is None or not school.calibrated:
            return trust, None
        labelled = [Labelled(-trust.gain(seen), not right) for seen, right in school.calibrated]
        kept = keep_within(labelled, alias.cascade.max_error)
        if not isinstance(kept, Kept):
            log.info("the promise of %s/%s is infeasible: %s", *place, kept)
            return trust, None
        return trust, kept

    async def _fitted(self, taught: Sequence[Example]) -> Weights:
        """Fit in another process: it takes seconds, and holds the interpreter."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(max_workers=1, mp_context=context, initializer=_end_with_parent)
        fitting = asyncio.get_running_loop().run_in_executor(self._pool, _fit, list(taught))
        try:
            while not (await asyncio.wait([fitting], timeout=_RENEW_S))[0]:
                with contextlib.suppress(StoreUnavailable):
                    await self._turn.mine()
            return Weights.unpacked(fitting.result())
        except BrokenExecutor:
            self._pool = None  # the next one gets another process
            raise


def _end_with_parent() -> None:
    """Let no fit outlive a gateway that was killed."""
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_after, args=[parent], daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _fit(taught: list[Example]) -> bytes:
    return fit(taught).packed()


def _said(verdict: Comparison) -> str:
    better = f"{verdict.better:+.4f} (error {verdict.error:.4f}) on {verdict.count} held back"
    return f"wins by {better}" if verdict.wins else f"no better: {better}"
