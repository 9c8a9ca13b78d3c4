"""The trainer: one process trains, beside the event loop, and only a scorer that wins becomes live."""

import asyncio
import json
import logging
import os
import signal
from concurrent.futures import BrokenExecutor

import msgspec
import pytest
from jobs_house import EASY, HARD, LEARN, PLACE, gains, learned, outcomes, school_of, until
from routing_house import cascade, of, settle
from test_teach import answered, judged_outcomes

from penstock import testing
from penstock.jobs import aside as aside_module
from penstock.jobs import shelf as shelf_module
from penstock.jobs import train_router as module
from penstock.jobs.shelf import INDEX
from penstock.jobs.turn import Turn
from penstock.routing.cascade import judgement
from penstock.routing.features import FEATURES, prompt_features
from penstock.routing.guarantee import Kept
from penstock.routing.learner import COLD_START
from penstock.routing.outcomes import TABLE, Learned, Outcome
from penstock.routing.policy import Cascade, RoutingPolicy
from penstock.routing.versions import Version
from penstock.routing.weights import NOTHING, Weights


async def test_a_scorer_that_wins_becomes_live_and_one_that_does_not_win_does_not(open_shop, caplog):
    caplog.set_level(logging.INFO, "penstock.routing")
    shop = open_shop()
    trainer, versions = shop.process()
    assert versions.weights(*PLACE) is COLD_START
    hard, easy = gains(versions)
    assert easy > hard
    await shop.send(outcomes(300))
    await trainer.look()
    hard, easy = gains(versions)
    assert hard > easy + 0.2
    (first,) = versions.history(*PLACE).versions
    assert (first.number, first.outcomes, first.made_at, first.upto) == (1, 300, shop.clock.now(), 300)
    assert first.why.startswith("wins by +")
    assert first.why.endswith("on 300 outcomes new to both")
    assert versions.histories() == [versions.history(*PLACE)]

    shop.clock.advance(2)
    await shop.send(outcomes(200, first=300))
    await trainer.look()
    assert [each.number for each in versions.history(*PLACE).versions] == [1]
    assert any("stays: no better" in line and "on 200 outcomes" in line for line in caplog.messages)

    other = shop.process()[1]  # as after a restart
    await other.look()
    assert gains(other) == pytest.approx([hard, easy])


async def test_a_world_that_turned_is_learned_and_a_version_put_back_stays_until_then(open_shop):
    shop = open_shop()
    trainer, versions = shop.process()
    await shop.send(outcomes(300))
    await trainer.look()
    history = versions.history(*PLACE)
    history.live = 0
    await versions.write(history)  # put back by hand
    shop.clock.advance(2)
    await shop.send(outcomes(100, hard=0.0, easy=0.0))  # which say nothing for either
    await trainer.look()
    assert (versions.history(*PLACE).live, len(versions.history(*PLACE).versions)) == (0, 1)
    shop.clock.advance(2)
    await shop.send(outcomes(300, first=400))
    await trainer.look()
    history = versions.history(*PLACE)
    assert ([each.number for each in history.versions], history.live) == ([1, 2], 2)
    shop.clock.advance(2)
    await shop.send(outcomes(2_000, hard=-1.0, easy=1.0))
    await trainer.look()
    history = versions.history(*PLACE)
    assert ([each.number for each in history.versions], history.live) == ([1, 2, 3], 3)
    hard, easy = gains(versions)
    assert easy > hard


async def test_a_version_that_is_put_back_during_a_fit_stays(open_shop, caplog):
    caplog.set_level(logging.INFO, "penstock.routing")
    shop = open_shop()
    trainer, versions = shop.process()
    await shop.send(outcomes(300))
    await trainer.look()
    run = trainer._aside.run

    async def meanwhile(*given):
        _, others = shop.process()
        await others.look()
        history = others.history(*PLACE)
        history.live = 0
        await others.write(history)
        return await run(*given)

    trainer._aside.run = meanwhile
    shop.clock.advance(2)
    await shop.send(outcomes(2_000, hard=-1.0, easy=1.0))
    await trainer.look()
    assert (versions.history(*PLACE).live, len(versions.history(*PLACE).versions)) == (0, 1)
    assert any("was put back meanwhile" in line for line in caplog.messages)


class Fits:
    """Counts what would be fitted, and fails as it is told."""

    def __init__(self, trainer, problem=None):
        self.count, self.problem = 0, problem
        trainer._aside.run = self.run

    async def run(self, still, work, homework):
        self.count += 1
        if self.problem:
            raise self.problem


async def test_not_before_enough_is_new_nor_too_often(open_shop):
    shop = open_shop(learn={"every_s": 60, "least_outcomes": 100})
    trainer, _ = shop.process()
    fits = Fits(trainer)
    await shop.send(outcomes(99))
    await trainer.look()
    assert fits.count == 0
    await shop.send(outcomes(1))
    await trainer.look()
    assert fits.count == 1
    await shop.send(outcomes(150))
    await trainer.look()
    assert fits.count == 1
    shop.clock.advance(60)
    await trainer.look()
    assert fits.count == 2


async def test_who_knows_much_waits_for_more(open_shop):
    shop = open_shop(learn={"every_s": 1, "least_outcomes": 10})
    trainer, _ = shop.process()
    fits = Fits(trainer)
    for count, fitted in ((1_000, 1), (40, 1), (20, 2)):
        shop.clock.advance(2)
        await shop.send(outcomes(count))
        await trainer.look()
        assert fits.count == fitted


async def test_a_fit_that_fails_is_tried_again_but_not_at_once(open_shop):
    shop = open_shop(learn={"every_s": 60, "least_outcomes": 100})
    trainer, versions = shop.process()
    fits = Fits(trainer, MemoryError())
    await shop.send(outcomes(300))
    with pytest.raises(MemoryError):
        await trainer.look()
    await trainer.look()
    assert (fits.count, school_of(trainer).fresh) == (1, 300)
    shop.clock.advance(60)
    del trainer._aside.run
    await trainer.look()
    assert len(versions.history(*PLACE).versions) == 1
    assert school_of(trainer).fresh == 0


async def test_one_that_fails_does_not_keep_the_others_from_learning(open_shop):
    shop = open_shop()
    trainer, _ = shop.process()
    fits = Fits(trainer, MemoryError())
    await shop.send([*outcomes(100), *outcomes(100, place=("acme", "other"))])
    for count in (1, 2):
        with pytest.raises(MemoryError):
            await trainer.look()
        assert fits.count == count
    await trainer.look()
    assert fits.count == 2


async def test_what_was_learned_outlives_the_process(open_shop):
    shop = open_shop()
    first, _ = shop.process()
    await shop.send(outcomes(60))
    await first.look()
    assert (await shop.records.read(TABLE))[1] == {}
    second, versions = shop.process()  # the first one was killed
    await shop.send(outcomes(60, first=60))
    await second.look()
    assert [each.outcomes for each in versions.history(*PLACE).versions] == [120]


@pytest.mark.parametrize("dies_at", [0, 1, 2, 3, 9, 15, 16, 17, 30, 45])
async def test_killed_at_any_moment_nothing_is_lost_or_counted_twice(open_shop, monkeypatch, dies_at):
    monkeypatch.setattr(shelf_module, "_ROWS", 4)
    shop = open_shop()
    await shop.send(outcomes(30))
    dying, _ = shop.process()
    real, calls = (shop.records.put, shop.records.delete), []

    def until_dead(do):
        async def called(*given):
            if len(calls) == dies_at:
                raise asyncio.CancelledError
            calls.append(do)
            return await do(*given)

        return called

    shop.records.put, shop.records.delete = map(until_dead, real)
    with pytest.raises(asyncio.CancelledError):
        await dying.look()
    shop.records.put, shop.records.delete = real
    heir, _ = shop.process()
    await heir.look()
    assert (await shop.records.read(TABLE))[1] == {}
    told = [each.outcome async for chunk in school_of(heir).shelf.read() for each in chunk]
    assert sorted(told, key=lambda each: each.learned) == sorted(outcomes(30), key=lambda each: each.learned)


async def test_what_cannot_be_read_teaches_nothing_and_is_gone(open_shop):
    shop = open_shop()
    trainer, _ = shop.process()
    await shop.send([Outcome(*PLACE, b"junk", 0.0, 1.0), Outcome(*PLACE, learned("good"), 0.0, 1.0)])
    await trainer.look()
    assert school_of(trainer).fresh == 1
    assert (await shop.records.read(TABLE))[1] == {}


async def test_of_three_processes_one_trains_and_another_takes_over(open_shop, monkeypatch):
    monkeypatch.setattr(module, "_LOOK_S", 0.001)
    shop = open_shop(learn={"every_s": 1, "least_outcomes": 10_000})
    three = [shop.process()[0] for _ in range(3)]

    async def all_taken(count):
        def fresh():
            return [school.fresh for each in three for _, school in each._schools.items()]

        await until(lambda: max(fresh(), default=0) == count)

    for trainer in three:
        trainer.start()
    await shop.send(outcomes(10))
    await all_taken(10)
    (first,) = [trainer for trainer in three if trainer._schools.items()]
    await first.stop()
    await shop.send(outcomes(5))
    await all_taken(15)  # it goes on with those of the first
    (second,) = [trainer for trainer in three if trainer._schools.items() and trainer is not first]
    second._running.cancel()  # it dies without a word
    await settle()
    shop.clock.advance(31)
    await shop.send(outcomes(5))
    await all_taken(20)
    assert sorted(school_of(each).fresh for each in three) == [10, 15, 20]


async def test_a_turn_that_comes_back_begins_with_what_another_has_done(open_shop):
    shop = open_shop(learn={"every_s": 1, "least_outcomes": 10_000})
    (one, _), (other, _) = shop.process(), shop.process()
    for trainer, count in ((one, 10), (other, 15), (one, 20)):
        shop.clock.advance(31)  # as if the one before had slept
        assert await trainer._turn.mine()
        await shop.send(outcomes(5 if count > 10 else 10))
        await trainer.look()
        assert school_of(trainer).fresh == count


async def test_a_turn_that_was_lost_during_a_fit_writes_nothing(open_shop, monkeypatch):
    monkeypatch.setattr(aside_module, "_ASK_S", 0.001)
    shop = open_shop()
    trainer, versions = shop.process()
    assert await trainer._turn.mine()
    await shop.send(outcomes(400))
    shop.clock.advance(31)
    assert await Turn(shop.ledger, shop.clock, "train_router").mine()
    await trainer.look()
    assert versions.histories() == []


async def test_without_aliases_nobody_takes_a_turn(open_shop, monkeypatch):
    monkeypatch.setattr(module, "_LOOK_S", 0.0)
    shop = open_shop()
    shop.policy = RoutingPolicy()
    trainer, _ = shop.process()
    trainer.start()
    await settle()
    assert await shop.ledger.held("_jobs", now=shop.clock.now()) == 0


async def test_a_store_that_goes_and_comes_back_does_not_end_it(open_shop, monkeypatch, caplog):
    monkeypatch.setattr(module, "_LOOK_S", 0.0)
    shop = open_shop()
    trainer, _ = shop.process()
    trainer.start()
    shop.ledger.gone = shop.records.gone = True
    await settle()
    shop.ledger.gone = shop.records.gone = False
    await shop.send(outcomes(5))
    await settle(60)
    assert school_of(trainer).fresh == 5
    trainer._outcomes.waiting = None  # broken: it says so, and goes on
    await settle()
    assert any("could not be trained" in line for line in caplog.messages)
    assert not trainer._running.done()


async def test_training_does_not_stop_the_event_loop(open_shop):
    shop = open_shop()
    trainer, versions = shop.process()
    await shop.send(outcomes(3_000))
    ticks = 0

    async def beat():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    beating = asyncio.ensure_future(beat())
    await trainer.look()
    beating.cancel()
    assert len(versions.history(*PLACE).versions) == 1
    assert ticks > 30


async def test_the_turn_is_kept_while_a_fit_takes_its_time(open_shop, monkeypatch):
    monkeypatch.setattr(aside_module, "_ASK_S", 0.001)
    shop = open_shop()
    trainer, _ = shop.process()
    assert await trainer._turn.mine()
    await shop.send(outcomes(400))
    training = asyncio.ensure_future(trainer.look())
    others = Turn(shop.ledger, shop.clock, "train_router")
    for _ in range(20):
        await asyncio.sleep(0.02)
        assert not await others.mine()
        shop.clock.advance(2)  # half a minute and more in all
    await training


async def test_a_fit_that_was_killed_is_made_again(open_shop):
    shop = open_shop()
    trainer, versions = shop.process()
    await shop.send(outcomes(300))
    training = asyncio.ensure_future(trainer.look())
    await until(lambda: trainer._aside.pid is not None)
    os.kill(trainer._aside.pid, signal.SIGKILL)
    with pytest.raises(BrokenExecutor):
        await training
    shop.clock.advance(2)
    await trainer.look()
    assert len(versions.history(*PLACE).versions) == 1


async def test_the_end_does_not_wait_for_a_fit_and_gives_the_turn_up_at_once(open_shop, monkeypatch):
    monkeypatch.setattr(module, "_LOOK_S", 0.001)
    shop = open_shop()
    (trainer, _), (other, versions) = shop.process(), shop.process()
    fitting = asyncio.Event()

    async def never(still, work, homework):
        fitting.set()
        await asyncio.sleep(600)

    trainer._aside.run = never
    trainer.start()
    await shop.send(outcomes(300))
    await fitting.wait()
    await trainer.stop()
    assert await other._turn.mine()
    await shop.send(outcomes(1))  # which wakes the school
    await other.look()
    assert [each.outcomes for each in versions.history(*PLACE).versions] == [301]


@pytest.mark.parametrize("wrong_share", [0.0, 0.5])
async def test_a_promise_finds_its_threshold_or_is_infeasible(open_shop, caplog, wrong_share):
    caplog.set_level(logging.INFO, "penstock.routing")
    shop = open_shop(cascade(max_error=0.05))
    trainer, versions = shop.process()
    await shop.send(judged_outcomes(1_000, wrong_share))
    await trainer.look()
    promise = versions.trust(*PLACE).promise
    if wrong_share:
        assert promise is None
        assert any("the promise of acme/auto is infeasible" in line for line in caplog.messages)
        return
    assert promise.bound <= 0.05
    sure, unsure = ("The answer is certainly 8", "Perhaps, maybe, I am unsure, 7 of 500")
    assert kept(versions, sure)
    assert not kept(versions, unsure)


async def test_a_promise_that_changes_lives_with_the_scorer_that_stays(open_shop):
    shop = open_shop(cascade(max_error=0.05))
    trainer, versions = shop.process()
    await shop.send(judged_outcomes(1_000))
    await trainer.look()
    first = versions.history(*PLACE).version()
    assert first.promise is not None
    shop.clock.advance(2)
    await shop.send(judged_outcomes(1_000, wrong_share=0.5))
    await trainer.look()
    second = versions.history(*PLACE).version()
    assert (second.number, second.promise) == (2, None)
    assert second.why.startswith("prompts are scored as before: ")
    assert second.why.endswith("the promise is infeasible")
    assert (second.gain, second.digest, second.upto) == (first.gain, first.digest, first.upto)


async def test_a_promise_whose_numbers_alone_move_makes_no_version(open_shop, caplog):
    caplog.set_level(logging.INFO, "penstock.routing")
    shop = open_shop(cascade(max_error=0.05))
    trainer, versions = shop.process()
    await shop.send(judged_outcomes(1_000))
    await trainer.look()
    first = versions.history(*PLACE).version()
    assert first.why.endswith("with a new promise")
    for seed in (6, 7):
        shop.clock.advance(2)
        await shop.send(judged_outcomes(200, seed=seed))
        await trainer.look()
    assert versions.history(*PLACE).versions == [first]
    assert sum("stays: no better" in line for line in caplog.messages) == 2
    shop.clock.advance(2)
    shop.policy = of(RoutingPolicy, aliases={"auto": cascade()}, **LEARN)
    await shop.send(judged_outcomes(200, seed=8))
    await trainer.look()
    second = versions.history(*PLACE).version()
    assert (second.number, second.promise) == (2, None)
    assert second.why.endswith("nothing is promised any more")


async def test_after_a_release_with_other_features_it_learns_anew(open_shop):
    shop = open_shop(cascade(max_error=0.05))
    before = [
        msgspec.structs.replace(each, learned=as_made_with(FEATURES - 1, each))
        for each in judged_outcomes(300)
    ]
    trainer, versions = shop.process()
    history = versions.history(*PLACE)
    gain = Weights((1.0, 1.0, 1.0), 0.9, {})
    promise = Kept(-9.0, 1.0, 300, 0, 0.01)
    packed = gain.packed(), NOTHING.packed()
    history.add(
        Version(7, 0.0, 300, "then", *packed, promise, upto=300, after=gain.packed(), made_with=FEATURES - 1)
    )
    await versions.write(history)
    await shop.send(before)
    await trainer.look()
    assert trainer._schools.items() == []  # they are not even kept
    assert (await shop.records.read(TABLE))[1] == {}
    await shop.send(outcomes(300))
    await trainer.look()
    then, now = versions.history(*PLACE).versions
    assert (then.number, now.number, now.made_with, now.outcomes) == (7, 8, FEATURES, 300)
    assert (now.promise, now.after) == (None, b"")
    assert now.upto == 600
    hard, easy = gains(versions)
    assert hard > easy + 0.2


def as_made_with(version, outcome):
    told = msgspec.msgpack.decode(outcome.learned, type=Learned)
    return msgspec.structs.replace(told, made_with=version).packed()


async def test_what_was_learned_of_answers_lives_with_its_version_and_the_next(open_shop):
    shop = open_shop(cascade(large_share=0.5))
    trainer, versions = shop.process()
    assert len(versions.trust(*PLACE).gain) == 0
    await shop.send(answered(400, "length=20"))
    await trainer.look()
    after = versions.trust(*PLACE).gain
    assert versions.history(*PLACE).version().why.endswith("answers are judged anew")
    assert len(after) > 0
    shop.clock.advance(2)
    await shop.send(outcomes(300))  # nothing new of answers, and a scorer of prompts that wins
    await trainer.look()
    assert versions.history(*PLACE).version().number == 2
    assert versions.trust(*PLACE).gain.digest() == after.digest()


def kept(versions, text):
    prompt = "How many apples are left of 500?"
    request = testing.exchange(body={"messages": []}).request
    answer = {"choices": [{"message": {"content": text}}]}
    its = of(Cascade, max_error=0.05)
    trust = versions.trust(*PLACE)
    return judgement(its, request, prompt, prompt_features(prompt), answer, trust, None).passed


async def test_nothing_personal_is_logged_or_left_in_the_clear(open_shop, caplog):
    caplog.set_level(logging.DEBUG)
    shop = open_shop()
    trainer, versions = shop.process()
    await shop.send(outcomes(300))
    await trainer.look()
    said = json.dumps([caplog.messages, [each.why for each in versions.history(*PLACE).versions]])
    assert "theorem" not in said
    assert str(next(iter(prompt_features(HARD.format(0)).words))) not in said
    stored = [value for name, table in shop.records._tables.items() for value in table.values()]
    assert len(stored) > 300
    clear = (b"acme", *(learned(prompt.format(0))[5:21] for prompt in (HARD, EASY)))
    assert not [value for value in stored for known in clear if known in value]
    assert list((await shop.records.read(INDEX))[1]) == ["acme/auto"]
