"""Thinking about a request before anybody answers: what it is about, and who should be asked."""

from collections.abc import Callable
from dataclasses import dataclass

from penstock.clock import Clock
from penstock.exchange import Exchange
from penstock.models.policy import ModelsPolicy
from penstock.openai.request import Request
from penstock.routing.asked import text_of, tokens_of
from penstock.routing.choose import Asking, Choice, able, chosen, ruled
from penstock.routing.classifiers import Classifiers
from penstock.routing.features import Features, prompt_features
from penstock.routing.lately import Shares, Stuck, Threads
from penstock.routing.learner import COLD_START
from penstock.routing.named import pulls
from penstock.routing.policy import Alias, RoutingPolicy
from penstock.routing.weights import Weights
from penstock.routing.worth import Lengths, extra_cost, whole_cost, worth
from penstock.tenants.policy import TenantsPolicy, zone_of

WeightsOf = Callable[[str, str], Weights]
"""Gives the live scorer of a tenant's alias."""


@dataclass(frozen=True, slots=True)
class Thought:
    """What is known before anybody answers. `asked` is the request as it came, `thread` a keyed hash."""

    name: str
    alias: Alias
    asked: Request
    prompt: str
    features: Features
    choice: Choice
    thread: bytes | None
    stuck: Stuck | None


class Thinker:
    """Knows the intents, the latest gains, and who answered which thread."""

    def __init__(
        self, clock: Clock, weights: WeightsOf, slowdown: Callable[[str], float] = lambda model: 1.0
    ) -> None:
        self._clock = clock
        self._weights = weights
        self._slowdown = slowdown
        self._lengths = Lengths()
        self._prompts, self._answers = Shares(), Shares()
        self.intents = Classifiers()
        self.threads = Threads()

    def think(self, exchange: Exchange, name: str, alias: Alias, thread: bytes | None) -> Thought:
        """Read a request and choose who answers; its intent is noted on the exchange."""
        prompt = text_of(exchange.request)
        classifier = self.intents.of(exchange.policies[RoutingPolicy].intents)
        found = classifier.intent(prompt) if classifier is not None else None
        exchange.intent = found.label if found is not None and found.in_scope else None
        features = prompt_features(prompt)
        if exchange.intent:
            features = features.with_shape([f"intent={exchange.intent}"])
        stuck = self.threads.get(thread, self._clock.now()) if thread is not None else None
        choice = self._choose(exchange, name, alias, features, stuck)
        return Thought(name, alias, exchange.request, prompt, features, choice, thread, stuck)

    def _choose(
        self, exchange: Exchange, name: str, alias: Alias, features: Features, stuck: Stuck | None
    ) -> Choice:
        candidates = able(alias, exchange.request, exchange.policies[ModelsPolicy])
        if len(candidates) == 1:
            return Choice(candidates[0], None, "the only one that can")
        rule = ruled(alias.rules, self._asking(exchange))
        if rule is not None and (choice := chosen(candidates, rule[1], f"rule {rule[0]}")):
            return choice
        if stuck is not None and (choice := chosen(candidates, stuck.model, "as before in its thread")):
            return choice
        small = Choice(candidates[0], candidates[-1], "by policy")
        large = Choice(candidates[-1], None, "by policy")
        if alias.decide != "scorer":
            return small if alias.decide == "small" else large
        if exchange.intent is None and self.intents.of(exchange.policies[RoutingPolicy].intents) is not None:
            unknown = small if alias.unknown == "small" else large
            return Choice(unknown.candidate, unknown.larger, "no intent fits")
        return self._scored(exchange, name, alias, features, (small, large))

    def _scored(
        self, exchange: Exchange, name: str, alias: Alias, features: Features, either: tuple[Choice, Choice]
    ) -> Choice:
        """Choose by the gain that is expected of the large model, held against its cost and slowness."""
        weights = self._weights(exchange.tenant, name)
        gain = weights.gain(features)
        expected_tokens = self._lengths.expect(exchange, name)
        cost = extra_cost(exchange.request, alias, exchange.policies[ModelsPolicy], expected_tokens)
        known = weights is not COLD_START  # whose gains are an order, with no size to hold against a cost
        valued = worth(gain, cost, alias.cost_weight if known else 0)
        rank = self._prompts.rank((exchange.tenant, name), weights, valued, cost)
        share = alias.large_share
        if alias.latency_weight and (slowdown := self._slowdown(alias.candidates[-1].model)) > 1:
            share *= 1 - alias.latency_weight * (1 - 1 / slowdown)
        small, large = either
        choice = large if rank >= 1 - share and gain >= alias.least_gain else small
        why = f"gain {gain:+.3f}, above {rank:.0%} of the latest"
        return Choice(choice.candidate, choice.larger, why, scored=True)

    def pulled(self, exchange: Exchange, thought: Thought) -> str:
        """Say which features of a scored prompt moved its gain most, in its words: for explain alone."""
        if not thought.choice.scored:
            return ""
        weights = self._weights(exchange.tenant, thought.name)
        moved = pulls(thought.prompt, thought.features, weights)
        said = ", ".join(f"{pull.name} {pull.gain:+.3f}" for pull in moved)
        return f" ({weights.intercept:+.3f} for any; {said})"

    def rank_answer(self, exchange: Exchange, thought: Thought, weights: Weights, gain: float) -> float:
        """Give the share of the latest small answers, by what a large one costs, that gain less from it."""
        alias, models = thought.alias, exchange.policies[ModelsPolicy]
        tokens = self._lengths.expect(exchange, thought.name)
        cost = whole_cost(thought.asked, alias.candidates[-1].model, models, tokens)
        valued = worth(gain, cost, alias.cost_weight)
        return self._answers.rank((exchange.tenant, thought.name), weights, valued, cost)

    def _asking(self, exchange: Exchange) -> Asking:
        tenants = exchange.policies[TenantsPolicy]
        tenant = tenants.tenant(exchange.tenant)
        zone = tenant.zone if tenant is not None else zone_of(tenants.defaults.timezone)
        request = exchange.request
        return Asking(
            exchange.tenant, exchange.intent, request.headers, tokens_of(request), self._clock.now(), zone
        )
