import pytest

from penstock.errors import Refusal
from penstock.routing.policy import Latency
from penstock.routing.route import Route, counts_as_failed
from penstock.routing.yardstick import Yardstick
from penstock.testing import FrozenClock

POLICY = Latency(window_s=30, slow_factor=3, back_factor=1.5, probe_s=5)


class Written:
    """Notes that are kept."""

    def __init__(self):
        self.firsts = []
        self.states = []

    def first_event(self, upstream, model, seconds):
        self.firsts.append((upstream, model, seconds))

    def state(self, upstream, model, *, slow):
        self.states.append((upstream, model, slow))


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def notes():
    return Written()


@pytest.fixture
def route(clock, notes):
    made = Route("m", "east", clock, Yardstick(), notes)
    made.latency = POLICY
    return made


def stream(route, clock, seconds):
    ticket = route.began()
    clock.advance(seconds)
    ticket.first_event()
    ticket.ended(ok=True)


def probe(route, clock, seconds, best=1.0):
    stream(route, clock, seconds)
    return route.recovered(best)


def marked(route, clock, usual=0.25):
    """Teach the route what is usual, mark it, and wait until its first probe is due."""
    for _ in range(200):
        stream(route, clock, usual)
    route.mark(clock.now(), slow=True)
    clock.advance(POLICY.probe_s)


def test_a_new_route_is_noted_and_knows_nothing(route, clock, notes):
    assert notes.states == [("east", "m", False)]
    told = route.told(clock.now())
    assert (told.slow, told.pace, told.in_flight, told.first_event, told.whole) == (
        False,
        None,
        0,
        None,
        None,
    )


def test_a_pace_is_known_from_the_third_answer_on(route, clock):
    for _ in range(2):
        stream(route, clock, 0.25)
    assert route.pace(clock.now()) is None
    stream(route, clock, 0.25)
    assert route.pace(clock.now()) == pytest.approx(1.0)


def test_a_pace_is_forgotten_after_the_window(route, clock):
    for _ in range(10):
        stream(route, clock, 0.25)
    clock.advance(POLICY.window_s + 1)
    assert route.pace(clock.now()) is None


def test_streams_are_told_by_their_first_event_and_plain_answers_as_a_whole(route, clock, notes):
    stream(route, clock, 0.25)
    ticket = route.began()
    clock.advance(4.0)
    ticket.ended(ok=True, output_tokens=300)
    told = route.told(clock.now())
    assert (told.first_event.p95_s, told.first_event.count) == (0.25, 1)
    assert (told.whole.p95_s, told.whole.count) == (4.0, 1)
    assert notes.firsts == [("east", "m", 0.25)]


def test_a_call_is_on_its_way_until_its_stream_has_ended(route, clock):
    ticket = route.began()
    ticket.first_event()
    assert route.in_flight == 1
    ticket.ended(ok=True)
    assert route.in_flight == 0


def test_what_is_said_after_the_end_counts_for_nothing(route, clock, notes):
    ticket = route.began()
    ticket.dropped()
    ticket.first_event()
    ticket.ended(ok=True)
    ticket.ended(ok=False)
    ticket.dropped()
    assert route.in_flight == 0
    assert notes.firsts == []


def test_a_failure_makes_the_pace_worse(route, clock):
    for _ in range(4):
        stream(route, clock, 0.25)
    route.began().ended(ok=False)
    assert route.pace(clock.now()) == pytest.approx((4 * 1 + 12) / 5, rel=0.05)


def test_one_very_late_answer_weighs_no_more_than_a_failure(route, clock):
    for _ in range(20):
        stream(route, clock, 0.01)
    stream(route, clock, 5.0)
    assert route.pace(clock.now()) < 2.0


@pytest.mark.parametrize(
    ("problem", "worse"),
    [
        (Refusal(502, "upstream_closed", ""), True),
        (Refusal(504, "upstream_connect_timeout", ""), True),
        (Refusal(429, "rate_limited", ""), True),
        (Refusal(400, "bad", ""), False),
        (KeyboardInterrupt(), False),
        (ValueError(), False),
    ],
)
def test_only_refusals_that_speak_of_the_upstream_make_it_worse(route, clock, problem, worse):
    for _ in range(4):
        stream(route, clock, 0.25)
    route.began().broke(problem)
    assert (route.pace(clock.now()) > 2.0) is worse
    assert route.in_flight == 0


@pytest.mark.parametrize(
    ("status", "failed"), [(200, False), (400, False), (404, False), (429, True), (500, True), (503, True)]
)
def test_a_status_speaks_of_the_upstream_or_of_the_request(status, failed):
    assert counts_as_failed(status) is failed


def test_the_longest_wait_is_of_streams_and_plain_answers(route, clock):
    assert route.longest_s(clock.now()) is None
    clock.advance(2)
    for _ in range(5):
        stream(route, clock, 0.25)
    assert route.longest_s(clock.now()) == 0.25
    ticket = route.began()
    clock.advance(4.0)
    ticket.ended(ok=True, output_tokens=300)
    assert route.longest_s(clock.now()) == 4.0


class TestOverdue:
    def test_nothing_is_overdue_without_a_measure(self, route, clock):
        for _ in range(5):
            route.began()
        clock.advance(1000)
        assert not route.overdue(clock.now())

    def test_two_calls_are_too_few(self, route, clock):
        route.patience_s = 1.0
        route.began(), route.began()
        clock.advance(2)
        assert not route.overdue(clock.now())
        route.began()
        clock.advance(0.5)
        assert not route.overdue(clock.now())
        clock.advance(1)
        assert route.overdue(clock.now())

    def test_calls_that_come_back_meanwhile_outweigh_them(self, route, clock):
        route.patience_s = 1.0
        for _ in range(3):
            route.began()
        for _ in range(5):
            stream(route, clock, 0.5)
        assert not route.overdue(clock.now())

    def test_a_call_with_its_first_event_is_not_waiting(self, route, clock):
        route.patience_s = 1.0
        for ticket in [route.began() for _ in range(5)]:
            ticket.first_event()
        clock.advance(100)
        assert not route.overdue(clock.now())

    def test_calls_from_before_a_mark_ended_do_not_count_again(self, route, clock):
        route.patience_s = 1.0
        for _ in range(5):
            route.began()
        clock.advance(2)
        route.mark(clock.now(), slow=True)
        route.mark(clock.now(), slow=False)
        clock.advance(2)
        assert not route.overdue(clock.now())

    def test_one_that_a_client_gave_up_counts_as_failed(self, route, clock):
        for _ in range(4):
            stream(route, clock, 0.25)
        route.patience_s = 1.0
        soon, late = route.began(), route.began()
        clock.advance(0.5)
        soon.dropped()
        assert route.pace(clock.now()) == pytest.approx(1.0)
        clock.advance(1)
        late.dropped()
        assert route.pace(clock.now()) > 2.0


class TestProbing:
    def test_a_probe_is_due_after_a_while(self, route, clock):
        route.mark(clock.now(), slow=True)
        assert route.probe_due_s(clock.now()) is None
        clock.advance(POLICY.probe_s - 0.1)
        assert route.probe_due_s(clock.now()) is None
        clock.advance(0.1)
        assert route.probe_due_s(clock.now()) == pytest.approx(0.0)
        clock.advance(2)
        assert route.probe_due_s(clock.now()) == pytest.approx(2.0)

    def test_one_probe_at_a_time(self, route, clock):
        marked(route, clock)
        route.began()
        clock.advance(POLICY.probe_s)
        assert route.probe_due_s(clock.now()) is None

    def test_a_probe_that_hangs_is_given_up(self, route, clock):
        marked(route, clock)
        route.began()
        clock.advance(6 * POLICY.probe_s)
        assert route.probe_due_s(clock.now()) is not None

    def test_three_good_ones_in_a_row_and_no_fewer(self, route, clock):
        marked(route, clock)
        assert [probe(route, clock, 0.25) for _ in range(3)] == [False, False, True]

    def test_a_good_one_is_followed_at_once_and_a_bad_one_later(self, route, clock):
        marked(route, clock)
        probe(route, clock, 0.25)
        assert route.probe_due_s(clock.now()) is not None
        probe(route, clock, 1.25)
        assert route.probe_due_s(clock.now()) is None
        clock.advance(POLICY.probe_s)
        assert [probe(route, clock, 0.25) for _ in range(3)] == [False, False, True]

    def test_a_probe_is_held_against_the_best(self, route, clock):
        marked(route, clock)
        assert [probe(route, clock, 0.75, best=3.0) for _ in range(3)] == [False, False, True]

    def test_a_failed_probe_is_a_bad_one(self, route, clock):
        marked(route, clock)
        probe(route, clock, 0.25), probe(route, clock, 0.25)
        route.began().ended(ok=False)
        assert not route.recovered(1.0)
        clock.advance(POLICY.probe_s)
        assert not probe(route, clock, 0.25)

    def test_a_dropped_probe_is_repeated_later(self, route, clock):
        marked(route, clock)
        route.began().dropped()
        assert route.probe_due_s(clock.now()) is None
        clock.advance(POLICY.probe_s)
        assert route.probe_due_s(clock.now()) is not None

    def test_a_route_that_is_back_begins_with_what_its_probes_took(self, route, clock, notes):
        marked(route, clock)
        late = route.began()
        late.dropped()
        clock.advance(POLICY.probe_s)
        for _ in range(3):
            probe(route, clock, 0.25)
        route.mark(clock.now(), slow=False)
        assert route.pace(clock.now()) == pytest.approx(1.0, rel=0.1)
        assert notes.states[-2:] == [("east", "m", True), ("east", "m", False)]

    def test_calls_that_it_lost_are_no_load_and_their_end_changes_none(self, route, clock):
        marked(route, clock)
        lost = [route.began() for _ in range(9)]
        route.mark(clock.now(), slow=False)
        assert route.load(clock.now(), 1.0) == 1.0
        route.began()
        assert route.load(clock.now(), 1.0) == 2.0
        for ticket in lost:
            ticket.ended(ok=False)
        assert route.load(clock.now(), 1.0) == 2.0
        assert route.told(clock.now()).in_flight == 1

    def test_calls_from_before_say_nothing_of_now(self, route, clock):
        marked(route, clock)
        clock.advance(-POLICY.probe_s)
        old = route.began()  # no probe is due yet
        clock.advance(POLICY.probe_s)
        for _ in range(3):
            probe(route, clock, 0.25)
        route.mark(clock.now(), slow=False)
        before = route.pace(clock.now())
        old.ended(ok=False)
        assert route.pace(clock.now()) == before
        assert route.in_flight == 0
