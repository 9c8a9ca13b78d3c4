"""The chain: the list of stages, the guard around each, and the timings. It knows no proxy.

client ─▶ a door (proxy/) ─▶ chain.answer ─▶ identify ─▶ ephemeral ─▶ cache ─▶ budget ─▶ routing ─▶ upstream
                                 ◀────────────────── Reply, unwound the same way ◀─────────────────────┘
"""

import difflib
import logging
from asyncio import CancelledError
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Annotated

from pydantic import Field

from penstock.clock import SYSTEM, Clock
from penstock.errors import Refusal, StageFailed, StartError
from penstock.exchange import Decision, Exchange
from penstock.policy.base import Finding, Policy, PolicySet
from penstock.reply import Reply
from penstock.stage import AnyStage, Resources

log = logging.getLogger("penstock.chain")


class ChainPolicy(Policy):
    """Which stages a request passes, and in which order."""

    file = "chain"

    order: tuple[str, ...] = Field(
        default=(
            *("identify", "ephemeral", "feedback", "experiment"),
            *("cache", "budget", "routing", "upstream"),
        ),
        description="The stages from the client to the upstream. A stage that is left out does nothing.",
    )
    max_request_bytes: Annotated[int, Field(gt=0)] = Field(
        default=32 * 1024 * 1024,
        description="The largest body of an understood endpoint; larger ones get 413. Others stream.",
    )


class Chain:
    """Stages by name. The order and what a broken stage means come with each exchange's policies."""

    def __init__(self, stages: Mapping[str, AnyStage], clock: Clock = SYSTEM) -> None:
        self._stages = stages
        self._clock = clock

    async def start(self, resources: Resources) -> None:
        """Start every stage. Raises StartError."""
        for stage in self._stages.values():
            await stage.start(resources)

    def accept(self, policies: PolicySet) -> None:
        """Let every stage of the order look at policies that are about to become live. Raises StartError."""
        for name in policies[ChainPolicy].order:
            self._stages[name].accept(policies)

    async def stop(self) -> None:
        """Stop the stages, the innermost last."""
        for stage in self._stages.values():
            await stage.stop()

    async def answer(self, exchange: Exchange) -> Reply:
        """Answer one exchange. Raises Refusal."""
        order = exchange.policies[ChainPolicy].order
        return await self._step(exchange, [self._stages[name] for name in order], 0)

    async def _step(self, exchange: Exchange, road: Sequence[AnyStage], place: int) -> Reply:
        """Let the stage at `place` answer, guarded; what it calls to proceed is the step after it."""
        if place == len(road):
            raise Refusal(500, "no_upstream", "No stage of the chain answers requests.")
        stage = road[place]
        inner_s = 0.0
        inner: Reply | Refusal | None = None  # what the rest of the road said last

        async def proceed(exchange: Exchange) -> Reply:
            nonlocal inner_s, inner
            began = self._clock.monotonic()
            try:
                reply = inner = await self._step(exchange, road, place + 1)
            except Refusal as refusal:
                inner = refusal
                raise
            finally:
                inner_s += self._clock.monotonic() - began
            return reply

        began = self._clock.monotonic()
        try:
            reply = await stage.answer(exchange, proceed)
        except (Refusal, CancelledError):
            await _let_go(inner)
            raise
        except Exception as problem:
            if refusal := self._broken(exchange, stage, problem):
                await _let_go(inner)
                raise refusal from problem
            if isinstance(inner, Refusal):
                raise inner from None
            reply = inner if inner is not None else await proceed(exchange)
        finally:
            own = self._clock.monotonic() - began - inner_s
            exchange.timings[stage.name] = exchange.timings.get(stage.name, 0.0) + own
        if reply.stream is not None:
            reply.stream.claim(lambda problem: self._broken(exchange, stage, problem))
        return reply

    def _broken(self, exchange: Exchange, stage: AnyStage, problem: Exception) -> Refusal | None:
        """Decide for a stage that raised: the refusal the client gets, or None where it is skipped."""
        skip = exchange.policies[stage.policy].on_failure == "skip"
        what = type(problem).__name__
        exchange.decide(stage.name, "skipped" if skip else "failed", what)
        log.error("stage %s of %s raised %s", stage.name, exchange.id, what, extra={"problem": problem})
        return None if skip else StageFailed(stage.name)

    async def recall(self, resources: Resources) -> None:
        """Let stages that will only be asked for plans read what was learned. Raises StoreUnavailable."""
        for stage in self._stages.values():
            await stage.recall(resources)

    def admit(self, exchange: Exchange) -> None:
        """Ask every stage about a request that will go around the chain. Raises the first one's Refusal."""
        for name in exchange.policies[ChainPolicy].order:
            self._stages[name].plan(exchange)

    def explain(self, exchange: Exchange) -> Iterable[Decision]:
        """Say what each stage would do with this request, without calling anyone."""
        for name in exchange.policies[ChainPolicy].order:
            stage = self._stages[name]
            try:
                yield stage.plan(exchange)
            except Refusal as refusal:
                yield Decision(name, "refuse", f"{refusal.status} {refusal.code}: {refusal.message}")
                return


async def _let_go(inner: Reply | Refusal | None) -> None:
    """Close an answer that its stage leaves behind; one that is being read already stays as it is."""
    if isinstance(inner, Reply):
        await inner.aclose()


def chain_policy(stages: Mapping[str, type[AnyStage]]) -> type[ChainPolicy]:
    """Give the chain's policy for these stages: one that knows which orders make sense."""

    class CheckedChainPolicy(ChainPolicy):
        __doc__ = ChainPolicy.__doc__

        def check(self, policies: PolicySet) -> Iterable[Finding]:
            return _check_order(self.order, policies, stages)

    return CheckedChainPolicy


def in_order(names: Iterable[str], stages: Mapping[str, type[AnyStage]]) -> tuple[str, ...]:
    """Put stages into an order that makes sense, `upstream` last. Raises StartError for an unknown one."""
    wanted = dict.fromkeys((*names, "upstream"))
    for name in wanted:
        if name not in stages:
            raise StartError(f"no stage is called {name!r}; there are {', '.join(stages)}")
    before = {name: [other for other in wanted if other in stages[name].after] for name in wanted}
    before["upstream"] = [name for name in wanted if name != "upstream"]
    return tuple(TopologicalSorter(before).static_order())


def _check_order(
    order: Sequence[str], policies: PolicySet, stages: Mapping[str, type[AnyStage]]
) -> Iterator[Finding]:
    """Find unknown, repeated and misplaced stages, and skips that may not be."""
    for place, name in enumerate(order):
        loc = ("order", place)
        if name not in stages:
            near = next(iter(difflib.get_close_matches(name, stages)), None)
            yield Finding(loc, f"no stage is called {name!r}", near)
            continue
        if name in order[:place]:
            yield Finding(loc, f"{name!r} stands here twice")
        for before in stages[name].after:
            if before in order[place + 1 :]:
                yield Finding(loc, f"{name!r} must stand after {before!r}")
        stage = stages[name]
        if not stage.skippable and policies[stage.policy].on_failure == "skip":
            yield Finding(
                loc, f"{name!r} can't be skipped when it fails", other=(stage.policy, ("on_failure",))
            )
    if not order or order[-1] != "upstream":
        yield Finding(("order",), "the last stage must be 'upstream'")
    for name, why in demanded(order, policies, stages):
        yield Finding(("order",), f"{name!r} must be in the chain, since {why}")


def demanded(
    order: Sequence[str], policies: PolicySet, stages: Mapping[str, type[AnyStage]]
) -> Iterator[tuple[str, str]]:
    """Name the stages that an order must not leave out, each with the reason."""
    for name, stage in stages.items():
        if name not in order and (why := stage.demanded(policies)) is not None:
            yield name, why
