"""Who is put into which arm, under which settings, and what the client is told of it."""

import pytest
from experiment_bits import KEYRING, experiment, policies

from penstock import testing
from penstock.errors import StartError
from penstock.experiment.assign import Assigner
from penstock.experiment.policy import ExperimentPolicy
from penstock.experiment.seating import HEADER, Seating, told
from penstock.experiment.verdicts import Verdict
from penstock.stages.cache import CachePolicy

CACHE_600 = {"cache": {"ttl_s": 600}}
PROMOTED = Verdict("promoted", "treatment", "cli", 1.0)


@pytest.fixture
def seating():
    return Seating(Assigner(KEYRING))


def asks(live, user="ada", tenant="acme"):
    exchange = testing.exchange(body={"model": "m", "messages": [], **({"user": user} if user else {})})
    exchange.policies, exchange.tenant = live, tenant
    return exchange


def test_an_exchange_is_marked_told_and_put_under_its_arms_settings(seating):
    live = policies(e=experiment(CACHE_600))
    seating.accept(live)
    seen = set()
    for number in range(20):
        exchange = asks(live, f"u{number}")
        (seat,) = seating.seat(exchange, {})
        seen.add(seat.cell.arm)
        assert exchange.arms == {"e": seat.cell.arm}
        assert exchange.answer_headers[HEADER] == f"e={seat.cell.arm}" == told([seat])
        assert exchange.policies[CachePolicy].ttl_s == (600 if seat.cell.arm == "treatment" else 3600)
        assert seat.bucket in range(32)
    assert seen == {"control", "treatment"}


def test_it_is_the_same_seat_again(seating):
    live = policies(e=experiment())
    first, again = seating.seat(asks(live), {}), Seating(Assigner(KEYRING)).seat(asks(live), {})
    assert first == again


def test_several_experiments_are_several_seats(seating):
    live = policies(a=experiment(CACHE_600), b=experiment({"cache": {"several_choices": True}}))
    exchange = asks(live)
    seats = seating.seat(exchange, {"a": PROMOTED, "b": PROMOTED})
    assert told(seats) == "a=treatment,b=treatment"
    cache = exchange.policies[CachePolicy]
    assert (cache.ttl_s, cache.several_choices) == (600, True)


@pytest.mark.parametrize(
    ("user", "tenant", "said"),
    [("", "acme", {}), ("ada", "globex", {"tenants": ("acme",)})],
    ids=["nobody knows who", "another tenant"],
)
def test_who_has_no_seat_stays_as_it_is(seating, user, tenant, said):
    live = policies(e=experiment(CACHE_600, **said))
    exchange = asks(live, user, tenant)
    assert seating.seat(exchange, {}) == []
    assert exchange.policies is live
    assert (exchange.arms, exchange.answer_headers) == ({}, {})


def test_a_verdict_seats_everyone_and_counts_nobody(seating):
    live = policies(e=experiment(CACHE_600))
    for user in ("", "ada"):
        (seat,) = seating.seat(asks(live, user), {"e": PROMOTED})
        assert (seat.cell.arm, seat.bucket) == ("treatment", None)


def test_a_verdict_for_an_arm_that_is_gone_means_the_first(seating):
    live = policies(e=experiment(CACHE_600))
    (seat,) = seating.seat(asks(live), {"e": Verdict("promoted", "gone", "cli", 1.0)})
    assert seat.cell.arm == "control"


def test_an_excluded_tenant_has_a_seat_that_does_not_count(seating):
    policy = ExperimentPolicy(experiments={"e": experiment()}, exclude_tenants=("canary",))
    (seat,) = seating.seat(asks(policies(policy), tenant="canary"), {})
    assert seat.bucket is None


def test_arms_that_are_no_policies_are_refused_at_once(seating):
    with pytest.raises(StartError, match=r"cache\.yaml"):
        seating.accept(policies(e=experiment({"cache": {"ttl_s": "x"}})))


def test_the_settings_before_the_live_ones_are_still_known(seating):
    live = policies(e=experiment(CACHE_600))
    seating.accept(live)
    for _ in range(5):
        seating.accept(policies(e=experiment()))
    exchange = asks(live)
    seating.seat(exchange, {"e": PROMOTED})
    assert exchange.policies[CachePolicy].ttl_s == 600
