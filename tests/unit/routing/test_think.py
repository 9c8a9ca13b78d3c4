"""In which order rule, thread and scorer decide, and that they know one tenant from another."""

import random

import pytest
from routing_house import MODELS, House, alias, of

from penstock import testing
from penstock.models.policy import ModelsPolicy
from penstock.routing.features import prompt_features
from penstock.routing.lately import Stuck
from penstock.routing.policy import RoutingPolicy
from penstock.routing.think import Thinker
from penstock.routing.weights import NOTHING, Weights
from penstock.tenants.policy import TenantsPolicy

INTENTS = {
    "code": ["write a function that sorts", "why does this loop never end", "refactor this class please"],
    "maths": ["what is 17 percent of 80", "solve x + 3 = 9", "how many apples are left over"],
}
HARD, EASY = "prove the riemann hypothesis", "say hello"


def weights(hard=0.4, easy=-0.4):
    """Give weights that know two prompts."""
    pulls = {}
    for prompt, gain in ((HARD, hard), (EASY, easy)):
        words = prompt_features(prompt).words
        pulls.update(dict.fromkeys(words, gain * prompt_features(prompt).size((1, 1, 1)) / len(words)))
    return Weights((1.0, 1.0, 1.0), 0.0, pulls)


class Thinking:
    def __init__(self, its=None, weights_of=lambda tenant, alias: NOTHING, **more):
        self.house = House(its or alias(decide="scorer"), **more)
        self.thinker = Thinker(self.house.clock, weights_of)

    def think(self, text="hello", thread=None, **asked):
        exchange = self.house.exchange(text, **asked)
        thought = self.thinker.think(exchange, "auto", self.house.policy.aliases["auto"], thread)
        return thought, exchange

    def choice(self, text="hello", **asked):
        thought, _ = self.think(text, **asked)
        return thought.choice.candidate.model, thought.choice.why


def test_the_policy_may_decide_without_a_scorer():
    small, large = (Thinking(alias(decide=who)).think()[0].choice for who in ("small", "large"))
    assert (small.candidate.model, small.larger.model, small.why) == ("small", "large", "by policy")
    assert (large.candidate.model, large.larger) == ("large", None)


def test_one_that_can_is_not_chosen_any_further():
    models = ModelsPolicy(
        models={**MODELS.models, "small": MODELS.models["small"].model_copy(update={"abilities": ()})}
    )
    thinking = Thinking(alias(rules=[{"use": "small"}]))
    thinking.house = House(thinking.house.policy.aliases["auto"], models)
    assert thinking.choice(tools=[{"type": "function"}]) == ("large", "the only one that can")


def test_a_rule_goes_before_the_thread_and_the_thread_before_the_scorer():
    its = alias(rules=[{"header": {"x-tier": "gold"}, "use": "large"}], decide="small")
    thinking = Thinking(its)
    until = thinking.house.clock.now() + 10
    thinking.thinker.threads.keep(b"t", Stuck("large", "west", until))
    thinking.thinker.threads.keep(b"u", Stuck("small", "east", until))
    assert thinking.choice(thread=b"t") == ("large", "as before in its thread")
    assert thinking.choice(thread=b"u", headers={"x-tier": "gold"}) == ("large", "rule 1")
    assert thinking.choice() == ("small", "by policy")
    thinking.house.clock.advance(10)
    assert thinking.choice(thread=b"t") == ("small", "by policy")


def test_a_rules_model_that_cannot_answer_is_passed_over():
    models = ModelsPolicy(
        models={**MODELS.models, "small": MODELS.models["small"].model_copy(update={"abilities": ()})}
    )
    its = alias("small", "nano", "large", rules=[{"use": "small"}], decide="large")
    thinking = Thinking(its)
    thinking.house = House(its, models)
    assert thinking.choice(tools=[{"type": "function"}]) == ("large", "by policy")


def test_a_thread_whose_model_is_gone_is_decided_anew():
    thinking = Thinking(alias(decide="small"))
    thinking.thinker.threads.keep(b"t", Stuck("retired", None, thinking.house.clock.now() + 10))
    assert thinking.choice(thread=b"t") == ("small", "by policy")


def test_the_scorer_sends_what_gains_most_to_the_large_one():
    thinking = Thinking(alias(decide="scorer", large_share=0.4), lambda tenant, alias: weights())
    told = [(text, thinking.choice(text)[0]) for text in [HARD, EASY] * 100]
    assert told.count((EASY, "large")) <= 2  # the first, of which nothing is above
    assert told.count((HARD, "large")) >= 60


def test_less_than_the_least_gain_stays_small():
    its = alias(decide="scorer", large_share=1.0, least_gain=0.2)
    thinking = Thinking(its, lambda tenant, alias: weights(hard=0.3, easy=0.1))
    assert [thinking.choice(text)[0] for text in (HARD, EASY)] == ["large", "small"]
    assert thinking.choice(HARD)[1].startswith("gain +0.300, above")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.8])
def test_the_share_holds_before_anything_is_learned_and_after(share):
    rng = random.Random(1)  # noqa: S311
    drawn = Weights((1.0, 1.0, 1.0), 0.0, {})
    for known in (NOTHING, drawn):
        thinking = Thinking(alias(decide="scorer", large_share=share, least_gain=-1), lambda t, a, w=known: w)
        if known is drawn:  # every request gains something else
            thinking.thinker._weights = lambda t, a: Weights((1.0, 1.0, 1.0), rng.gauss(0, 0.2), {})
        told = [thinking.choice("hello")[0] for _ in range(2_000)]
        assert told.count("large") / 2_000 == pytest.approx(share, abs=0.03)


def test_a_new_scorer_is_not_held_against_what_the_one_before_it_said():
    live = [weights(hard=-0.4, easy=-0.8)]
    thinking = Thinking(alias(decide="scorer", large_share=0.4, least_gain=-1), lambda tenant, alias: live[0])
    before = [(text, thinking.choice(text)[0]) for text in [HARD, EASY] * 100]
    live[0] = weights(hard=0.8, easy=0.4)  # all gain more by this one, and no more may go to the large one
    after = [(text, thinking.choice(text)[0]) for text in [HARD, EASY] * 100]
    assert after.count((HARD, "large")) >= 60
    assert after.count((EASY, "large")) <= 2
    assert abs(before.count((HARD, "large")) - after.count((HARD, "large"))) <= 10


@pytest.mark.parametrize("cost_weight", [0.0, 0.5, 1.0])
def test_the_share_is_one_of_dollars(cost_weight):
    rng, known = random.Random(2), Weights((1.0, 1.0, 1.0), 0.2, {})  # noqa: S311
    its = alias(decide="scorer", large_share=0.4, least_gain=-1, cost_weight=cost_weight)
    thinking = Thinking(its, lambda t, a: known)
    texts = ["x" * rng.choice((40, 400, 4_000, 16_000)) for _ in range(2_000)]
    large = [text for text in texts if thinking.choice(text, max_tokens=1)[0] == "large"]
    requests, letters = len(large) / len(texts), sum(map(len, large)) / sum(map(len, texts))
    assert letters == pytest.approx(0.4, abs=0.04)
    assert (requests > 0.6) == (cost_weight > 0)  # where a gain costs little, more of it can be had


def test_of_equal_gains_the_cheaper_goes_first():
    its = alias(decide="scorer", large_share=0.3)
    thinking = Thinking(its, lambda t, a: Weights((1.0, 1.0, 1.0), 0.2, {}))
    told = [(size, thinking.choice("x" * size, max_tokens=1)[0]) for size in (400, 16_000) * 200]
    assert told.count((400, "large")) >= 199  # the first has nothing to be held against
    assert told.count((16_000, "large")) < 100


@pytest.mark.parametrize(
    ("weight", "slowdown", "left"), [(0, 4, 0.6), (1, 2, 0.3), (0.5, 1e9, 0.3), (1, 1, 0.6)]
)
def test_a_slow_large_model_gets_less_within_the_bound(weight, slowdown, left):
    candidates = [{"model": "small"}, {"model": "large", "upstreams": ["east"]}]
    its = alias(candidates=candidates, decide="scorer", large_share=0.6, latency_weight=weight, least_gain=-1)
    thinking = Thinking(its)
    asked = []
    slow = lambda model: asked.append(model) or slowdown  # noqa: E731
    thinking.thinker = Thinker(thinking.house.clock, lambda t, a: NOTHING, slow)
    told = [thinking.choice("hello")[0] for _ in range(1_000)]
    assert told.count("large") / 1_000 == pytest.approx(left, abs=0.03)
    assert set(asked) <= {"large"}


def test_tenants_have_scorers_and_shares_of_their_own():
    asked = []

    def weights_of(tenant, alias):
        asked.append((tenant, alias))
        return weights(hard=0.4) if tenant == "acme" else weights(hard=-0.4, easy=0.4)

    thinking = Thinking(alias(decide="scorer", large_share=0.4), weights_of)
    told = [
        (tenant, text)
        for _ in range(100)
        for tenant in ("acme", "globex")
        for text in (HARD, EASY)
        if thinking.choice(text, tenant=tenant)[0] == "large"
    ]
    assert told.count(("acme", HARD)) >= 60
    assert told.count(("globex", EASY)) >= 60
    assert told.count(("acme", EASY)) + told.count(("globex", HARD)) <= 4
    assert set(asked) == {("acme", "auto"), ("globex", "auto")}


@pytest.mark.parametrize("unknown", ["small", "large"])
def test_what_is_like_no_intent_goes_where_the_policy_says(unknown):
    thinking = Thinking(alias(decide="scorer", unknown=unknown), intents=INTENTS)
    thinking.thinker.intents.learn(thinking.house.policy.intents)
    thought, exchange = thinking.think("zzqx 鰻 vrrm")
    assert exchange.intent is None
    assert (thought.choice.candidate.model, thought.choice.why) == (unknown, "no intent fits")


def test_an_intent_is_noted_and_rules_and_features_know_it():
    thinking = Thinking(alias(rules=[{"intent": ["code"], "use": "large"}]), intents=INTENTS)
    plain, _ = thinking.think("write a function that sorts")
    thinking.thinker.intents.learn(thinking.house.policy.intents)
    thought, exchange = thinking.think("write a function that sorts")
    assert exchange.intent == "code"
    assert (thought.choice.candidate.model, thought.choice.why) == ("large", "rule 1")
    assert len(thought.features.shape - plain.features.shape) == 1
    assert thinking.choice("solve x + 3 = 9") == ("small", "by policy")


def test_an_arm_goes_by_its_own_intents_and_without_any_until_they_are_learned():
    thinking = Thinking(alias(decide="scorer", unknown="large", large_share=0.0), intents=INTENTS)
    thinking.thinker.intents.learn(thinking.house.policy.intents)
    files = thinking.house.set
    arm = {"programs": INTENTS["code"], "sums": INTENTS["maths"]}
    of_arm = of(RoutingPolicy, aliases={"auto": thinking.house.policy.aliases["auto"]}, intents=arm)

    def asked(policies, text="write a function that sorts"):
        thinking.house.set = policies
        thought, exchange = thinking.think(text)
        return exchange.intent, thought.choice.why.split(",")[0]

    assert asked(files) == ("code", "gain +0.000")
    assert asked(files.replacing(of_arm)) == (None, "gain +0.000")  # it is not that no intent fits
    thinking.thinker.intents.learn(of_arm.intents)
    assert asked(files.replacing(of_arm)) == ("programs", "gain +0.000")
    assert asked(files.replacing(of_arm), "zzqx 鰻 vrrm") == (None, "no intent fits")
    assert asked(files) == ("code", "gain +0.000")


@pytest.mark.parametrize("open_gateway", [True, False])
def test_rules_go_by_the_tenants_clock(open_gateway):
    its = alias(rules=[{"hours": "13:00-14:00", "use": "large"}])
    if open_gateway:
        tenants = of(TenantsPolicy, defaults={"timezone": "Asia/Kolkata"})
    else:
        tenants = of(TenantsPolicy, tenants={"acme": {"timezone": "Asia/Kolkata"}})
    house = House(its, tenants)
    house.clock = testing.FrozenClock(1_800_000_000.0 - 1_800_000_000.0 % 86_400 + 8 * 3600)  # 08:00 UTC
    thinking = Thinking(its)
    thinking.house, thinking.thinker = house, Thinker(house.clock, lambda t, a: NOTHING)
    assert thinking.choice() == ("large", "rule 1")
    house.clock.advance(3600)
    assert thinking.choice() == ("small", "by policy")


def test_nothing_of_the_prompt_is_in_the_reason():
    thinking = Thinking(intents=INTENTS)
    thinking.thinker.intents.learn(thinking.house.policy.intents)
    for text in ("MARKER-xyzzy", "write a function MARKER-xyzzy", ""):
        _, why = thinking.choice(text)
        assert "xyzzy" not in why


def test_whoever_asks_is_told_what_moved_the_gain_and_only_where_it_decided():
    thinking = Thinking(alias(decide="scorer"), lambda tenant, alias: weights())
    thought, exchange = thinking.think(HARD)
    told = thinking.thinker.pulled(exchange, thought)
    assert told.startswith(" (+0.000 for any; ")
    assert "'riemann hypothesis' +0." in told
    thinking = Thinking(alias(decide="small"))
    thought, exchange = thinking.think(HARD)
    assert thinking.thinker.pulled(exchange, thought) == ""
