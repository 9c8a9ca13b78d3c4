"""Answered: one exchange from its arrival to its end, and the signs that it gives."""

from penstock.clock import Clock
from penstock.exchange import Exchange
from penstock.feedback.decided import Decided
from penstock.feedback.desk import Desk
from penstock.feedback.policy import FeedbackPolicy, Sign
from penstock.feedback.proxies import Print, Turn, own_signs, sign
from penstock.reply import Observer, Outcome


class Answered(Observer):
    """Compares a request with the one before it, and remembers what was decided for it."""

    def __init__(self, desk: Desk, exchange: Exchange, clock: Clock) -> None:
        self._desk = desk
        self._exchange = exchange
        self._experiments = desk.experiments
        self._clock = clock
        self._request = exchange.request  # as it came: later stages change it
        self._policy = exchange.policies[FeedbackPolicy]
        self._began = clock.monotonic()
        self._turn: Turn | None = None
        self._repeats: Turn | None = None
        self.request_id = ""

    def meet(self) -> None:
        """Compare the request with the one before it in its thread."""
        signs = self._policy.signs
        if not (signs.went_on or signs.re_ask or signs.edited or signs.regenerated):
            return
        thread = self._experiments.thread(self._exchange, self._request)
        if thread is None:
            return
        seen = Print.of(self._request)
        if seen is None:  # a tool's loop goes on: its last answer is the one to be judged
            self._turn = self._desk.threads.latest(thread)
            return
        self._turn = Turn(seen, self._clock.monotonic())
        before = self._desk.threads.next(thread, self._turn, self._policy.threads)
        if before is None:
            return
        known = self._experiments.known(self._exchange, self._request)
        found = sign(before, self._turn, self._policy, known=known)
        if found == "regenerated":
            self._repeats = before  # only if it is answered anew
        elif found is not None:
            self._judge(before, found)

    async def ended(self, outcome: Outcome) -> None:
        """Remember a stream's decision at its end; one that broke was no answer."""
        if outcome is not Outcome.FAILED:
            self.remember(left=outcome is Outcome.ABANDONED)

    def remember(self, *, left: bool) -> None:
        """Keep what was decided, and what it says of itself."""
        decided = self._decided()
        self._desk.notebook.put(self.request_id, decided, self._policy.remember_s)
        if self._repeats is not None and self._exchange.attempts:
            self._judge(self._repeats, "regenerated")
        weights = [self._learn(decided, each) for each in own_signs(self._exchange, left=left)]
        if worst := max(weights, default=0.0):
            self._experiments.unhappy(decided.arms, worst)
        if self._turn is not None:
            self._turn.decided, self._turn.judged = decided, worst > 0

    def _judge(self, before: Turn, found: Sign) -> None:
        """Take a sign for what was answered before; no request is unhappy twice."""
        if before.decided is None:
            return
        weight = self._learn(before.decided, found)
        if weight and not before.judged:
            self._experiments.unhappy(before.decided.arms, weight)
            before.judged = True

    def _learn(self, decided: Decided, found: Sign) -> float:
        weight: float = getattr(self._policy.signs, found)
        if weight:
            self._desk.seen(decided, found, weight)
        return weight if found != "went_on" else 0.0

    def _decided(self) -> Decided:
        exchange = self._exchange
        return Decided(
            tenant=exchange.tenant,
            alias=self._request.model or "",
            models=[call.model for call in exchange.calls] or [exchange.model or ""],
            at=self._clock.now(),
            intent=exchange.intent or "",
            latency_s=self._clock.monotonic() - self._began,
            cost_usd=self._experiments.cost_usd(exchange),
            learned=exchange.learned,
            arms=list(self._experiments.arms(exchange, self._request)),
            escalated=exchange.escalated,
        )
