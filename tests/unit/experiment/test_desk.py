"""What an operator sees of experiments and may do with them, whichever way."""

import pytest
from experiment_bits import KEYRING, experiment

from penstock import testing
from penstock.errors import Refusal, StoreUnavailable
from penstock.experiment.desk import Desk
from penstock.experiment.tally import Cell, Tally
from penstock.experiment.verdicts import Verdict, Verdicts
from penstock.stores.memory import MemoryRecords

BOTH = {"first": experiment(), "second": experiment()}


@pytest.fixture
def records():
    return MemoryRecords()


@pytest.fixture
def desk(records):
    return Desk(records, KEYRING, "admin api", testing.FrozenClock(7.0))


async def test_all_or_one_are_reported_as_they_stand(desk, records):
    tally = Tally(records, KEYRING)
    tally.of(Cell.of("second", BOTH["second"], "treatment")).requests = 3
    await tally.flush()
    assert [each.name for each in await desk.reports(BOTH)] == ["first", "second"]
    (told,) = await desk.reports(BOTH, "second")
    assert (told.state, told.counts["treatment"].requests) == ("running", 3)
    tally.of(Cell.of("second", BOTH["second"], "treatment")).requests += 1
    await tally.flush()
    (told,) = await desk.reports(BOTH, "second")
    assert told.counts["treatment"].requests == 4


async def test_no_experiments_are_no_reports(desk):
    assert await desk.reports({}) == []


async def test_a_stop_gives_everyone_the_first_arm(desk, records, caplog):
    caplog.set_level("INFO", "penstock.experiment")
    assert await desk.stop(BOTH, "first") is BOTH["first"]
    known = await Verdicts(records, KEYRING).look()
    assert known == {"first": Verdict("stopped", "control", "admin api", 7.0)}
    (told,) = await desk.reports(BOTH, "first")
    assert (told.state, told.verdict) == ("stopped", known["first"])
    assert "admin api stopped experiment first: everyone in it gets control" in caplog.text


async def test_a_promotion_gives_everyone_that_arm(desk, records):
    await desk.promote(BOTH, "first", "treatment")
    assert (await Verdicts(records, KEYRING).look())["first"].arm == "treatment"
    (told,) = await desk.reports(BOTH, "first")
    assert told.told()["everyone_gets"] == "treatment"


@pytest.mark.parametrize(
    ("name", "arm", "code", "said"),
    [
        ("frist", "treatment", "experiment_not_found", "no experiment 'frist'; did you mean 'first'?"),
        ("zzz", "treatment", "experiment_not_found", "no experiment 'zzz'."),
        ("first", "treatmnet", "arm_not_found", "no arm 'treatmnet'; did you mean 'treatment'?"),
        ("first", "", "arm_not_found", "no arm ''."),
    ],
)
async def test_what_there_is_not_is_told_and_changes_nothing(desk, records, name, arm, code, said):
    with pytest.raises(Refusal) as refused:
        await desk.promote(BOTH, name, arm)
    assert (refused.value.status, refused.value.code) == (404, code)
    assert said in refused.value.message
    assert await Verdicts(records, KEYRING).look() == {}


async def test_an_unknown_one_is_neither_shown_nor_stopped(desk):
    for asked in (desk.reports(BOTH, "third"), desk.stop(BOTH, "third")):
        with pytest.raises(Refusal):
            await asked


async def test_without_a_store_nothing_is_said(desk, records):
    records.gone = True
    for asked in (desk.reports(BOTH), desk.stop(BOTH, "first")):
        with pytest.raises(StoreUnavailable):
            await asked
