"""train_router: makes new scorers of what outcomes taught, and lets them live if they win."""

import asyncio
import contextlib
import logging
from asyncio import Task
from collections.abc import Callable
from itertools import batched
from typing import Final

import msgspec

from penstock.clock import Clock
from penstock.errors import StoreUnavailable
from penstock.jobs.aside import Aside
from penstock.jobs.school import School, Schools, taught_by
from penstock.jobs.teach import Homework, Report, teach
from penstock.jobs.turn import Turn
from penstock.routing.features import FEATURES
from penstock.routing.outcomes import Outcomes
from penstock.routing.policy import RoutingPolicy
from penstock.routing.versions import History, Place, Version, Versions
from penstock.routing.weights import Weights
from penstock.stores.keyring import Keyring
from penstock.stores.records import Records

log = logging.getLogger("penstock.routing")
_LOOK_S: Final = 2.0
_STEP: Final = 250
_NEW: Final = 0.05  # of all that is known must be new, so that those who know much learn seldom


class TrainRouter:
    """Takes outcomes while it is this process's turn, and trains in a process of its own.

    All that it knows stands in the store: what is here may be lost at any time. Outcomes are put on their
    shelf first and then taken from where they wait; a shelf knows those that it has.
    """

    def __init__(
        self,
        records: Records,
        keyring: Keyring,
        versions: Versions,
        turn: Turn,
        clock: Clock,
        policy: Callable[[], RoutingPolicy],
    ) -> None:
        self._outcomes = Outcomes(records, keyring)
        self._schools = Schools(records, keyring, versions)
        self._versions = versions
        self._turn = turn
        self._clock = clock
        self._policy = policy
        self._aside = Aside()
        self._running: Task[None] | None = None

    def start(self) -> None:
        """Begin to look for outcomes."""
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop, and let another process go on."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        with contextlib.suppress(StoreUnavailable):
            await self._turn.give_up()

    async def look(self) -> None:
        """Take what is there, and train what has learned enough. Raises StoreUnavailable."""
        self._schools.open_in(self._turn.number)
        for step in batched((await self._outcomes.waiting()).items(), _STEP):
            await self._schools.keep(dict(step))
            await self._outcomes.drop(key for key, _ in step)
        learn = self._policy().learn
        for place, school in self._schools.items():
            least = max(learn.least_outcomes, _NEW * len(school.shelf))
            if school.fresh >= least and self._clock.now() >= school.trained_at + learn.every_s:
                school.trained_at = self._clock.now()  # also if it fails: not again at once
                fresh = school.fresh
                await self._train(place, school)
                school.fresh -= fresh

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

    async def _train(self, place: Place, school: School) -> None:
        """Make a candidate, and make it live where it wins on what no version was taught."""
        chunks = [msgspec.msgpack.encode(lessons) async for lessons in school.shelf.read()]
        history, latest = self._versions.history(*place), school.shelf.latest
        alias = self._policy().aliases.get(place[1])
        cascade = alias.cascade if alias is not None else None
        max_error = cascade.max_error if cascade is not None else None
        live, before = self._versions.weights(*place).packed(), history.scoring()
        work = Homework(chunks, live, taught_by(history), cascade is not None, max_error)
        if before is not None:
            of_answers = {"after": before.after, "trust": before.trust, "kept": before.promise}
            work = msgspec.structs.replace(work, **of_answers)
        report = await self._aside.run(self._turn.mine, teach, work)
        if report is None:
            return  # it is another process's turn now
        if report.infeasible:
            log.info("the promise of %s/%s is infeasible: %s", *place, report.infeasible)
        await self._versions.look()
        if self._versions.history(*place).live != history.live:
            log.info("another version of %s/%s was put back meanwhile; it stays", *place)
            return
        await self._decide(self._versions.history(*place), report, live, latest)

    async def _decide(self, history: History, report: Report, live: bytes, latest: int) -> None:
        """Let the candidate live if it won, or if the live promise is not what the outcomes support."""
        place, before = (history.tenant, history.alias), history.scoring()
        said = _said(report)
        won = report.gain is not None or report.after is not None
        if not won and report.stands:
            log.info("scorer of %s/%s stays: %s", *place, said)
            return
        number = max((version.number for version in history.versions), default=0) + 1
        gain = report.gain or live
        history.add(
            Version(
                number,
                self._clock.now(),
                report.count,
                said,
                gain,
                report.trust,
                report.promise,
                Weights.unpacked(gain).digest(),
                latest if won else taught_by(history),
                report.after or (before.after if before else b""),
                FEATURES,
            )
        )
        await self._versions.write(history)
        log.info("scorer %d of %s/%s is live: %s", number, *place, said)


def _said(report: Report) -> str:
    verdict = report.verdict
    better = f"{verdict.better:+.4f} (error {verdict.error:.4f}) on {verdict.count} outcomes new to both"
    changes = report.after or not report.stands
    kept = f"prompts are scored as before: {better}" if changes else f"no better: {better}"
    said = [f"wins by {better}" if verdict.wins else kept]
    if report.after:
        said.append("answers are judged anew")
    if not report.stands and report.promise:
        said.append("with a new promise")
    elif not report.stands:
        said.append("the promise is infeasible" if report.infeasible else "nothing is promised any more")
    return ", ".join(said)
