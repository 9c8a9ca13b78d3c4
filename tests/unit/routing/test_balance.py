import heapq
import random
from collections import Counter

import pytest

from penstock import testing
from penstock.openai.usage import Usage
from penstock.reply import Reply
from penstock.routing.balance import Balance
from penstock.routing.policy import Latency
from penstock.testing import FrozenClock

POLICY = Latency(window_s=30, slow_factor=3, back_factor=1.5, probe_s=5)
EAST, WEST = "east", "west"
BOTH = (EAST, WEST)
FAST_S = 0.1


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def balance(clock):
    return Balance(clock, random.Random(11))  # noqa: S311


def state(balance, upstream, model="m"):
    return next(each for each in balance.states() if (each.upstream, each.model) == (upstream, model))


def answer(balance, clock, upstream, seconds, times=1):
    for _ in range(times):
        ticket = balance.began(upstream, "m")
        clock.advance(seconds)
        ticket.first_event()
        ticket.ended(ok=True)


def choices(balance, times=400, **asked):
    return Counter(balance.choose("m", BOTH, POLICY, **asked) for _ in range(times))


class World:
    """Connections that ask one request after the other; an upstream takes what `takes` says at that moment.

    A taking of None hangs for good, one below 0 fails at once. `clients` leave after `patience_s`.
    """

    def __init__(self, balance, clock, takes, connections=16, patience_s=1e9, upstreams=BOTH, prefer=None):
        self.balance, self.clock, self.takes, self.upstreams = balance, clock, takes, upstreams
        self.prefer, self.patience_s = prefer, patience_s
        self.rng = random.Random(7)  # noqa: S311
        self.asked = []  # (when, upstream)
        self.latencies = []
        self.most_at_once = Counter()
        self.turn = 0
        self.events = [(clock.now() + self.rng.random() * FAST_S, n, None) for n in range(connections)]
        self.started = clock.now()

    def run(self, seconds):
        until = self.clock.now() + seconds
        while self.events and self.events[0][0] <= until:
            at, _, ended = heapq.heappop(self.events)
            self.clock.advance(at - self.clock.now())
            if ended is not None:
                ended()
            self.ask()
        self.clock.advance(until - self.clock.now())
        return self

    def ask(self):
        upstream = self.balance.choose("m", self.upstreams, POLICY, self.prefer)
        ticket = self.balance.began(upstream, "m")
        now = self.clock.now()
        self.asked.append((now - self.started, upstream))
        takes = self.takes(upstream, now - self.started)
        noise = self.rng.uniform(0.9, 1.2)
        if takes is None or takes * noise > self.patience_s:
            self.then(now + self.patience_s, ticket.dropped)
        elif takes < 0:
            self.then(now + 0.001, lambda: ticket.ended(ok=False))
        else:
            self.then(now + takes * noise, lambda: (ticket.first_event(), ticket.ended(ok=True)))
            self.latencies.append((now - self.started, takes * noise))

    def then(self, at, what):
        self.turn += 1
        heapq.heappush(self.events, (at, 1000 + self.turn, what))

    def share(self, upstream, begin, end):
        seen = [asked for at, asked in self.asked if begin <= at < end]
        return seen.count(upstream) / max(1, len(seen))


def incident(begin, end, taken):
    return lambda upstream, at: taken if upstream == WEST and begin <= at < end else FAST_S


def test_a_policy_whose_way_back_is_no_way_back_is_refused():
    with pytest.raises(ValueError, match="back_factor must be less than slow_factor"):
        Latency(slow_factor=1.5, back_factor=1.5)


def test_the_only_upstream_is_taken_without_a_thought(balance):
    assert balance.choose("m", (EAST,), POLICY) == EAST
    assert balance.states() == []


def test_equals_share_by_lot(balance):
    chosen = choices(balance)
    assert min(chosen[EAST], chosen[WEST]) > 150


def test_of_two_equals_the_one_with_fewer_calls_on_their_way(balance):
    ticket = balance.began(EAST, "m")
    assert choices(balance) == {WEST: 400}
    balance.began(WEST, "m")
    ticket.dropped()
    assert choices(balance) == {EAST: 400}


def test_loads_that_hardly_differ_are_decided_by_the_calls(balance, clock):
    for _ in range(5):
        answer(balance, clock, EAST, 0.1)
        answer(balance, clock, WEST, 0.103)
    for upstream, calls in ((EAST, 9), (WEST, 8)):
        for _ in range(calls):
            balance.began(upstream, "m")
    assert choices(balance) == {WEST: 400}


def test_of_three_the_heaviest_gets_only_what_is_drawn_alone(balance, clock):
    for upstream, calls in (("a", 0), ("b", 3), ("c", 9)):
        for _ in range(calls):
            balance.began(upstream, "m")
    chosen = Counter(balance.choose("m", ("a", "b", "c"), POLICY) for _ in range(900))
    assert chosen["c"] == 0
    assert 200 < chosen["b"] < 400  # of the draws, a third is b and c


def test_the_quicker_of_two_answers_until_it_has_more_to_do(balance, clock):
    for _ in range(5):
        answer(balance, clock, EAST, 0.1)
        answer(balance, clock, WEST, 0.2)
    assert choices(balance) == {EAST: 400}
    for _ in range(2):
        balance.began(EAST, "m")
    assert choices(balance) == {WEST: 400}


def test_models_at_one_upstream_are_known_apart(balance, clock):
    answer(balance, clock, EAST, 0.1, 5)
    balance.choose("other", BOTH, POLICY)
    assert state(balance, EAST).pace is not None
    assert state(balance, EAST, "other").pace is None


def test_a_models_slowdown_is_that_of_its_best_upstream(balance, clock):
    assert balance.slowdown("m") == 1
    for _ in range(20):
        answer(balance, clock, EAST, 0.1)
        answer(balance, clock, WEST, 0.1)
    assert balance.slowdown("m") == pytest.approx(1, abs=0.05)
    for _ in range(40):
        answer(balance, clock, EAST, 0.4)
    assert balance.slowdown("m") == pytest.approx(1, abs=0.1)  # the other is as it was
    for _ in range(40):
        answer(balance, clock, WEST, 0.4)
    assert balance.slowdown("m") > 1.25  # and what is usual has begun to follow
    assert balance.slowdown("other") == 1


def test_sticky_requests_stay_where_they_are(balance, clock):
    for _ in range(4):
        balance.began(WEST, "m")
    assert choices(balance, prefer=WEST) == {WEST: 400}


def test_a_preference_for_what_is_no_candidate_is_ignored(balance):
    assert set(choices(balance, prefer="gone")) == {EAST, WEST}


def slow_west(balance, clock):
    for _ in range(20):
        answer(balance, clock, EAST, 0.1)
        answer(balance, clock, WEST, 0.5)
    balance.choose("m", BOTH, POLICY)
    assert state(balance, WEST).slow


def test_a_slow_one_is_drained_and_sticky_requests_leave_it(balance, clock):
    slow_west(balance, clock)
    assert choices(balance) == {EAST: 400}
    assert choices(balance, prefer=WEST) == {EAST: 400}


def test_a_probe_is_one_request_and_seldom_one_that_is_well_elsewhere(balance, clock):
    slow_west(balance, clock)
    clock.advance(POLICY.probe_s)
    assert choices(balance, 5, prefer=EAST) == {EAST: 5}
    assert balance.choose("m", BOTH, POLICY, WEST) == WEST
    assert balance.choose("m", BOTH, POLICY) == WEST
    balance.began(WEST, "m")
    assert choices(balance, 50) == {EAST: 50}


def test_a_request_that_is_well_elsewhere_probes_when_nobody_else_does(balance, clock):
    slow_west(balance, clock)
    clock.advance(3 * POLICY.probe_s)
    assert balance.choose("m", BOTH, POLICY, EAST) == WEST


def test_all_at_once_slow_is_not_slow(balance, clock):
    World(balance, clock, lambda upstream, at: FAST_S * (1 if at < 20 else 8)).run(60)
    assert not any(each.slow for each in balance.states())


class TestFollow:
    def test_a_plain_answer_is_measured_as_a_whole(self, balance, clock):
        for tokens in (10, 1000) * 20:
            ticket = balance.began(EAST, "m")
            clock.advance(0.05 + tokens / 1000)
            reply = Reply(200, body=b"{}")
            assert balance.follow(ticket, reply, Usage(5, tokens)) is reply
        told = state(balance, EAST)
        assert told.in_flight == 0
        assert told.pace == pytest.approx(1.0, abs=0.1)
        assert told.whole.p99_s == pytest.approx(1.05, abs=0.001)

    def test_without_usage_the_bytes_tell_the_length(self, balance, clock):
        for size in (400, 40_000) * 20:
            ticket = balance.began(EAST, "m")
            clock.advance(0.05 + size / 40_000)
            balance.follow(ticket, Reply(200, body=bytes(size)))
        assert state(balance, EAST).pace == pytest.approx(1.0, abs=0.1)

    async def test_a_stream_is_measured_to_its_first_event(self, balance, clock):
        ticket = balance.began(EAST, "m")
        clock.advance(0.25)
        reply = balance.follow(ticket, testing.chat_stream("a", "b")())
        async for _ in reply.stream.batches():
            clock.advance(5)
        told = state(balance, EAST)
        assert (told.first_event.p50_s, told.whole, told.in_flight) == (0.25, None, 0)

    @pytest.mark.parametrize(
        ("status", "worse"), [(500, True), (503, True), (429, True), (400, False), (404, False)]
    )
    def test_an_error_counts_where_it_speaks_of_the_upstream(self, balance, clock, status, worse):
        answer(balance, clock, EAST, 0.1, 5)
        balance.follow(balance.began(EAST, "m"), testing.chat("no", status=status)())
        told = state(balance, EAST)
        assert (told.pace > 2) is worse
        assert (told.whole, told.in_flight) == (None, 0)


class TestIncidents:
    """Sixteen connections, an upstream that changes at run time, and no real second."""

    def test_one_that_becomes_five_times_slower_loses_its_traffic_and_gets_it_back(self, balance, clock):
        world = World(balance, clock, incident(30, 90, 5 * FAST_S)).run(150)
        assert 0.4 < world.share(WEST, 5, 30) < 0.6
        assert world.share(WEST, 35, 90) < 0.01
        assert world.share(WEST, 100, 150) > 0.4
        slow = sorted(taken for at, taken in world.latencies if 30 <= at < 90)
        assert slow[len(slow) * 95 // 100] < 0.15

    def test_one_that_is_twice_as_slow_gets_less_and_is_not_marked(self, balance, clock):
        world = World(balance, clock, incident(30, 150, 2 * FAST_S)).run(150)
        assert 0.02 < world.share(WEST, 40, 150) < 0.35
        assert not state(balance, WEST).slow

    def test_one_that_hangs_is_known_before_anything_times_out(self, balance, clock):
        world = World(balance, clock, incident(30, 60, None)).run(60)
        assert state(balance, WEST).slow
        stuck = [at for at, upstream in world.asked if upstream == WEST and at >= 30]
        assert len([at for at in stuck if at > 31]) <= 2
        assert len(stuck) < 16

    def test_one_that_hangs_gets_its_traffic_back_although_a_probe_still_hangs(self, balance, clock):
        world = World(balance, clock, incident(30, 60, None)).run(120)
        assert world.share(WEST, 100, 120) > 0.3

    def test_one_that_fails_at_once_draws_no_traffic(self, balance, clock):
        world = World(balance, clock, incident(30, 60, -1.0)).run(100)
        failed = [at for at, upstream in world.asked if upstream == WEST and 30 <= at < 60]
        assert len([at for at in failed if at > 32]) < 10
        assert world.share(WEST, 75, 100) > 0.3

    def test_one_that_hangs_is_known_by_a_lone_client_that_gives_up(self, balance, clock):
        takes = incident(30, 1e9, None)
        world = World(balance, clock, takes, connections=1, patience_s=10).run(400)
        assert world.share(WEST, 100, 400) < 0.05

    def test_of_three_two_may_be_slow(self, balance, clock):
        names = ("a", "b", "c")

        def takes(upstream, at):
            return FAST_S if upstream == "a" or not 20 <= at < 60 else 6 * FAST_S

        world = World(balance, clock, takes, upstreams=names).run(100)
        assert world.share("a", 30, 60) > 0.97
        assert min(world.share(name, 75, 100) for name in names) > 0.15

    def test_the_best_that_becomes_slow_as_well_frees_the_other(self, balance, clock):
        def takes(upstream, at):
            return 5 * FAST_S if at >= (20 if upstream == WEST else 60) else FAST_S

        world = World(balance, clock, takes).run(150)
        assert world.share(WEST, 30, 60) < 0.02
        assert world.share(WEST, 100, 150) > 0.3

    def test_all_requests_sticky_elsewhere_still_find_out(self, balance, clock):
        world = World(balance, clock, incident(0, 40, 5 * FAST_S)).run(30)
        assert state(balance, WEST).slow
        world.prefer = EAST
        world.run(60)
        assert not state(balance, WEST).slow
        assert world.share(WEST, 10, 90) < 0.01

    def test_noise_marks_nobody(self, balance, clock):
        rng = random.Random(2)  # noqa: S311
        world = World(balance, clock, lambda *_: FAST_S * rng.lognormvariate(0, 0.8)).run(300)
        assert not any(each.slow for each in balance.states())
        assert 0.4 < world.share(WEST, 10, 300) < 0.6

    def test_the_same_lot_gives_the_same_run(self, clock):
        runs = [
            World(Balance(FrozenClock(), random.Random(4)), FrozenClock(), incident(1, 2, 1.0))  # noqa: S311
            for _ in range(2)
        ]
        asked = []
        for world in runs:
            world.balance = Balance(world.clock, random.Random(4))  # noqa: S311
            asked.append(world.run(5).asked)
        assert asked[0] == asked[1]
