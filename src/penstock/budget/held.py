"""Held: one request's reservation, from the grant until what it cost is charged."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeGuard

from penstock.budget.books import Charges
from penstock.budget.counting import Counting
from penstock.budget.limits import METERED, Applied
from penstock.budget.need import Cost
from penstock.budget.reserve import Reserved, Till
from penstock.budget.split import Split
from penstock.budget.told import Stand, headers, stopped
from penstock.errors import Refusal
from penstock.exchange import Call, Exchange
from penstock.models.policy import ModelsPolicy
from penstock.openai import wire_json
from penstock.openai.produced import Produced
from penstock.openai.sse import Event
from penstock.openai.usage import Usage
from penstock.reply import Observer, Outcome, Reply
from penstock.stores.ledger import Denial, Grant, Line, Settled, Standing
from penstock.tenants.policy import TenantsPolicy


class Held:
    """What is held for an exchange. It ends with `release` or with `charge`, whichever comes first.

    `limits_for` gives the limits that a model stands under; `warn` is called with each limit whose
    warning became due; `split` divides the charge among those that shared the call.
    """

    def __init__(
        self,
        exchange: Exchange,
        till: Till,
        first: Reserved,
        counting: Counting,
        limits_for: Callable[[str], Sequence[Applied]],
        warn: Callable[[Stand], None],
        split: Split | None = None,
    ) -> None:
        self.exchange = exchange
        self.need = first.need
        self.counting = counting
        self._till = till
        self._reservation = first.reservation
        self._stands = list(first.stands)
        self._lines = list(first.lines)
        self._tokens = first.answer.tokens if isinstance(first.answer, Grant) else 0
        self._limits_for = limits_for
        self._warn = warn
        self._split = split
        self._denied: Reserved | None = None
        self._open = True

    async def top_up(self, model: str) -> bool:
        """Hold what a further call of this model may cost, too. Raises StoreUnavailable."""
        if (priced := self.exchange.policies[ModelsPolicy].find(model)) is None:
            return False
        need = self.need.of_model(priced)
        met = {stand.limit.key for stand in self._stands}  # one request, however many calls it takes
        limits = [limit for limit in self._limits_for(model) if limit.unit in METERED or limit.key not in met]
        more = await self._till.top_up(self._reservation, need, limits)
        if isinstance(more.answer, Denial):
            self._denied = more
            return False
        known = {line.account.name for line in self._lines}
        for stand, line in zip(more.stands, more.lines, strict=True):
            if line.account.name not in known:
                self._stands.append(stand)
                self._lines.append(line)
        return True

    def refusal(self) -> Refusal:
        """Give the refusal of the last top-up that found no room, as the tenant's policy has it."""
        if (denied := self._denied) is None:
            return Refusal(429, "insufficient_quota", "The budget has no room for a model that can answer.")
        till, now = self._till, self._till.clock.now()
        tenant = self.exchange.policies[TenantsPolicy].tenant(till.tenant)
        status = (tenant.hard_stop if tenant is not None else None) or till.policy.hard_stop
        self.exchange.answer_headers.update(headers(denied.stands, now, till.zone, till.policy.warn_at))
        return stopped(denied.denied, till.tenant, now, till.zone, status, waits=denied.waits)

    async def beside[T](self, copy: Exchange, call: Callable[[Exchange], Awaitable[T]]) -> T | None:
        """Make a call that the road does not wait for. Raises StoreUnavailable, and what the call raises."""
        model = copy.request.model or ""
        if (priced := copy.policies[ModelsPolicy].find(model)) is None:
            return None
        limits = [limit for limit in self._limits_for(model) if limit.unit in METERED]
        asked = await self._till.ask(self.need.of_model(priced), limits)
        if asked.short:
            await self._till.give_back(asked)
            return None
        held = Held(copy, self._till, asked, self.counting, self._limits_for, self._warn)
        try:
            reply = await call(copy)
            if isinstance(reply, Reply):
                held.follow(reply)
        except BaseException:
            held.release()
            raise
        return reply

    def release(self) -> None:
        """Let go without a charge: nothing was asked, or nothing came."""
        self._end([])

    def abandon(self) -> None:
        """Charge a call whose client left before it was answered: the prompt, if it went upstream."""
        if self.exchange.attempts:
            self.charge(Produced())
        else:
            self.release()

    def charge(self, produced: Produced) -> Sequence[int]:
        """Charge what the calls cost, and give it; one without usage is counted by what it produced."""
        models = self.exchange.policies[ModelsPolicy]
        costs: list[tuple[str, Cost]] = []
        for call in self.exchange.calls or [Call(self.exchange.request.model or "")]:
            if _told(usage := call.usage):
                if produced.bytes:
                    self.counting.learn(self.need, call.model, usage, produced)
            else:
                usage = self.counting.count(self.need, call.model, produced, self._tokens)
            costs.append((call.model, Cost.of(usage, models.find(call.model) or self.need.model)))
        charges = [self._charge(stand.limit, costs) for stand in self._stands]
        self._end(list(zip(self._lines, charges, strict=True)))
        return charges

    def _charge(self, limit: Applied, costs: Sequence[tuple[str, Cost]]) -> int:
        """Give what is charged to a limit; one of a model that was not asked for counts its own calls."""
        models, asked = self.exchange.policies[ModelsPolicy], self.need.request.model
        if limit.model and self.exchange.calls and limit.model not in (asked, models.listed_name(asked)):
            costs = [each for each in costs if limit.model in (each[0], models.listed_name(each[0]))]
        return sum((cost for _, cost in costs), Cost()).charge(limit) if costs else 0

    def follow(self, reply: Reply) -> Reply:
        """Settle when the answer ends, which a plain one has; and tell the client how its limits stand."""
        calls = self.exchange.calls
        charged: Sequence[int] = [0] * len(self._lines)
        if reply.status != 200 or not calls:
            self.release()
        elif reply.stream is not None:
            reply.observed_by(_Meter(self))
            charged = [line.fixed for line in self._lines]
        else:
            produced = self.counting.produced(self.need)
            if not _told(calls[-1].usage):
                produced.see_answer(wire_json.decode(reply.body))
            charged = self.charge(produced)
        self._tell(charged)
        return reply

    def _tell(self, charged: Sequence[int]) -> None:
        """Write how the limits stand once this request is charged so much, not what it holds for now."""
        stands = [
            Stand(stand.limit, stand.period, _after(stand.standing, line.amount(self._tokens), charge))
            for stand, line, charge in zip(self._stands, self._lines, charged, strict=True)
        ]
        till = self._till
        told = headers(stands, till.clock.now(), till.zone, till.policy.warn_at)
        self.exchange.answer_headers.update(told)

    def _end(self, charges: Sequence[tuple[Line, int]]) -> None:
        if self._open:
            self._open = False
            shared = charges and self._split is not None and self.exchange.sharers
            self._till.books.settle(
                self._till.tenant,
                self._reservation,
                charges,
                self._settled,
                self._shared if shared else None,
            )

    async def _shared(self, charges: Charges) -> Charges:
        assert self._split is not None  # noqa: S101 - else it is not called
        whole = [charge for _, charge in charges]
        parts = await self._split.parts(self.exchange.sharers, self._stands, whole)
        return list(zip(self._lines, parts, strict=True))

    def _settled(self, settled: Settled) -> None:
        for place in settled.warned:
            stand = self._stands[place]
            self._warn(Stand(stand.limit, stand.period, settled.standings[place]))


class _Meter(Observer):
    """Follows a stream to its end, and notes what the model said on the way."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._produced = held.counting.produced(held.need)

    def event(self, event: Event) -> Sequence[Event]:
        """Note what was produced."""
        self._produced.see(event)
        return (event,)

    async def ended(self, outcome: Outcome) -> None:
        """Charge it; only a call that failed before it said anything is free."""
        if outcome is Outcome.FAILED and not self._produced.bytes:
            self._held.release()
        else:
            self._held.charge(self._produced)


def _after(standing: Standing, held: int, charge: int) -> Standing:
    return Standing(standing.used + charge, max(0, standing.reserved - held), standing.expired)


def _told(usage: Usage | None) -> TypeGuard[Usage]:
    """Whether the usage can be believed: no answer costs nothing at all."""
    return usage is not None and bool(usage.input_tokens or usage.output_tokens)
