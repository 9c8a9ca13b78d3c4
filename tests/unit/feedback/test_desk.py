"""The desk: a rating finds its decision once, and goes to the arms and to whoever learns."""

import asyncio

import pytest
from feedback_desk_house import LEARNED, House

from penstock.errors import StoreUnavailable
from penstock.feedback import desk as module

DAY_S = 86_400.0


@pytest.fixture
async def home():
    house = House()
    yield house
    await house.desk.stop()


async def test_a_score_reaches_the_arms_and_the_router(home):
    home.put("req_1", arms=[("e", "d", "treatment", 7)], learned=LEARNED)
    assert await home.desk.take("acme", "req_1", 0.25, DAY_S)
    assert home.experiments.told == [("rated", [("e", "d", "treatment", 7)], 0.25)]
    (outcome,) = home.taught
    assert (outcome.tenant, outcome.alias, outcome.small) == ("acme", "auto", 0.25)


async def test_only_the_first_one_counts(home):
    home.put("req_1", arms=[("e", "d", "treatment", 7)])
    for score in (1.0, 0.0):
        assert await home.desk.take("acme", "req_1", score, DAY_S)
    await asyncio.gather(*(home.desk.take("acme", "req_1", 0.5, DAY_S) for _ in range(5)))
    await home.desk.flush()
    assert await home.desk.take("acme", "req_1", 0.0, DAY_S)
    assert [score for _, _, score in home.experiments.told] == [1.0]


async def test_of_many_at_once_one_counts(home):
    home.put("req_1", arms=[("e", "d", "treatment", 7)])
    await home.desk.flush()
    assert (
        await asyncio.gather(*(home.desk.take("acme", "req_1", 1.0, DAY_S) for _ in range(5))) == [True] * 5
    )
    assert len(home.experiments.told) == 1


@pytest.mark.parametrize(("tenant", "request_id"), [("globex", "req_1"), ("acme", "req_2")])
async def test_what_is_not_known_is_not_taken(home, tenant, request_id):
    home.put("req_1")
    assert not await home.desk.take(tenant, request_id, 1.0, DAY_S)
    assert (home.experiments.told, home.taught) == ([], [])


async def test_it_stays_rated_for_as_long_as_it_could_have_been(home):
    home.put("req_1")
    home.clock.advance(DAY_S - 10)
    assert await home.desk.take("acme", "req_1", 1.0, DAY_S)
    (entry,) = home.store.entries.values()
    assert entry.expires_at == home.clock.now() + 10


async def test_a_store_that_is_gone_is_said_and_it_can_be_rated_later(home):
    home.put("req_1", arms=[("e", "d", "treatment", 7)])
    await home.desk.flush()
    home.store.gone = True
    with pytest.raises(StoreUnavailable):
        await home.desk.take("acme", "req_1", 1.0, DAY_S)
    home.store.gone = False
    assert home.experiments.told == []
    assert await home.desk.take("acme", "req_1", 1.0, DAY_S)
    assert len(home.experiments.told) == 1


@pytest.mark.parametrize(
    ("found", "escalated", "small", "large"),
    [
        ("re_ask", False, 0.3, None),
        ("went_on", False, 0.7, None),
        ("re_ask", True, None, 0.3),
        ("escalated", True, 0.3, None),
    ],
)
async def test_a_sign_is_about_the_model_that_it_is_about(home, found, escalated, small, large):
    home.desk.seen(home.decided(learned=LEARNED, escalated=escalated), found, 0.4)
    (outcome,) = home.taught
    assert (outcome.small, outcome.large) == (pytest.approx(small), pytest.approx(large))


async def test_what_no_router_decided_teaches_nothing(home):
    home.desk.seen(home.decided(), "re_ask", 0.4)
    assert home.taught == []


async def test_one_store_that_is_gone_does_not_keep_the_other_from_its_own(home):
    home.put("req_1")
    home.store.gone = True
    await home.desk.flush()
    assert home.experiments.flushed == 1
    home.store.gone = False
    home.experiments.gone = True
    await home.desk.flush()
    assert len(home.store.entries) == 1


async def until(come_true):
    async with asyncio.timeout(5):
        while not come_true():  # noqa: ASYNC110 - a task of the desk's brings it about
            await asyncio.sleep(0.001)


async def test_it_writes_behind_by_itself_and_survives_a_fault(home, monkeypatch, caplog):
    monkeypatch.setattr(module, "_WRITE_S", 0.001)
    home.experiments.fault = RuntimeError("a secret")
    home.desk.start()
    await until(lambda: "what is learned can't be written: RuntimeError" in caplog.text)
    home.experiments.fault = None
    home.put("req_1")
    await until(lambda: home.store.entries)
    assert "secret" not in caplog.text


async def test_a_stop_writes_what_waits(home):
    home.desk.start()
    home.put("req_1")
    home.desk.seen(home.decided(learned=LEARNED), "re_ask", 0.4)
    await home.desk.stop()
    assert len(home.store.entries) == 1
    _, waiting = await home.resources.records.read("outcomes")
    assert len(waiting) == 1
