"""Schools: what is new is counted on from where the last turn ended, and nothing is taken for granted."""

import pytest
from jobs_house import PLACE, learned, outcomes

from penstock.jobs.school import Schools, taught_by
from penstock.routing.features import FEATURES, prompt_features
from penstock.routing.feedback import Served
from penstock.routing.learner import COLD_START
from penstock.routing.outcomes import Learned, Outcome
from penstock.routing.versions import History, Version, Versions
from penstock.routing.weights import NOTHING
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryRecords

KEYRING = Keyring(bytes(32))


@pytest.fixture
def records():
    return MemoryRecords()


def schools(records, versions=None):
    return Schools(records, KEYRING, versions or Versions(records, KEYRING))


def keyed(those):
    return {f"{each.alias}{at}": each for at, each in enumerate(those)}


def history(*upto):
    its = History(*PLACE)
    for number, each in enumerate(upto, 1):
        packed = COLD_START.packed(), NOTHING.packed()
        its.add(Version(number, 0.0, 1, "", *packed, upto=each, made_with=FEATURES))
    return its


async def test_outcomes_go_to_their_places_and_count_as_new_once(records):
    its = schools(records)
    for _ in range(2):
        await its.keep(keyed([*outcomes(3), *outcomes(2, place=("acme", "other"))]))
    assert {place: school.fresh for place, school in its.items()} == {PLACE: 3, ("acme", "other"): 2}


async def test_another_process_goes_on_where_this_one_ended(records):
    await schools(records).keep(keyed(outcomes(40)))
    versions = Versions(records, KEYRING)
    await versions.write(history(30))
    other = schools(records, versions)
    await other.keep({"more": next(outcomes(1))})
    ((_, school),) = other.items()
    assert (school.fresh, len(school.shelf), school.shelf.latest) == (11, 41, 41)


async def test_where_outcomes_were_lost_and_versions_were_not_numbers_go_on(records):
    versions = Versions(records, KEYRING)
    await versions.write(history(30))
    its = schools(records, versions)
    await its.keep(keyed(outcomes(5)))
    ((_, school),) = its.items()
    assert (school.fresh, school.shelf.latest) == (5, 35)


async def test_in_a_new_turn_everything_is_looked_up_again(records):
    its = schools(records)
    its.open_in(1)
    await its.keep(keyed(outcomes(3)))
    its.open_in(1)
    assert len(its.items()) == 1
    await schools(records).keep(keyed(outcomes(9)))  # another's turn
    its.open_in(2)
    assert its.items() == []
    await its.keep(keyed(outcomes(10)))
    ((_, school),) = its.items()
    assert school.fresh == 10


@pytest.mark.parametrize(
    "junk",
    [b"", b"\xc1", b"junk", Learned(*[frozenset()] * 3, "medium", 1, None, made_with=FEATURES).packed()],
)
async def test_what_cannot_be_read_teaches_nothing(records, junk):
    its = schools(records)
    good = Outcome(*PLACE, learned("good"), 0.0, 1.0)
    await its.keep({"junk": Outcome(*PLACE, junk, 0.0, 1.0), "good": good})
    ((_, school),) = its.items()
    (lesson,) = [lesson async for chunk in school.shelf.read() for lesson in chunk]
    assert (school.fresh, lesson.outcome) == (1, good)
    assert good.observed().features == prompt_features("good")
    assert good.observed().served is Served.SMALL


@pytest.mark.parametrize("made_with", [1, FEATURES - 1, FEATURES + 1])
async def test_what_another_release_saw_teaches_nothing(records, made_with):
    its = schools(records)
    old, new = learned("the same", made_with=made_with), learned("the same")
    await its.keep({"old": Outcome(*PLACE, old, 0.0, 1.0)})
    assert its.items() == []
    await its.keep({"old": Outcome(*PLACE, old, 0.0, 1.0), "new": Outcome(*PLACE, new, 0.0, 1.0)})
    ((_, school),) = its.items()
    assert (school.fresh, len(school.shelf)) == (1, 1)


def test_what_taught_any_version_is_new_to_none():
    assert taught_by(history()) == 0
    back = history(300, 900)
    back.live = 1  # put back by hand
    assert taught_by(back) == 900
