"""A rollback makes an earlier version live for all, or says which there are."""

import pytest

from penstock.errors import Refusal
from penstock.routing.features import FEATURES
from penstock.routing.rollback import roll_back
from penstock.routing.versions import History, Version, Versions
from penstock.routing.weights import NOTHING
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryRecords

RING = Keyring(bytes(32))


def version(number, made_with=FEATURES):
    return Version(number, 1.8e9, 100, "wins", NOTHING.packed(), NOTHING.packed(), made_with=made_with)


@pytest.fixture
async def versions():
    made = Versions(MemoryRecords(), RING)
    history = History("acme", "org/auto")
    for number in (1, 2, 3):
        history.add(version(number))
    await made.write(history)
    return made


@pytest.mark.parametrize("number", [0, 1, 3])
async def test_it_is_live_for_whoever_looks(versions, number, caplog):
    caplog.set_level("INFO", "penstock.routing")
    told = await roll_back(versions, "acme", "org/auto", number, "cli")
    other = Versions(versions._records, RING)
    await other.look()
    assert told.live == other.history("acme", "org/auto").live == number
    assert len(told.versions) == 3
    assert f"cli rolled org/auto of acme back to version {number}" in caplog.text


@pytest.mark.parametrize(
    ("tenant", "alias", "number", "known"),
    [
        ("acme", "org/auto", 4, "1, 2, 3"),
        ("acme", "org/auto", -1, "1, 2, 3"),
        ("acme", "other", 0, "none"),
        ("globex", "org/auto", 1, "none"),
    ],
)
async def test_what_there_is_not_is_told_and_changes_nothing(versions, tenant, alias, number, known):
    with pytest.raises(Refusal) as refused:
        await roll_back(versions, tenant, alias, number, "cli")
    assert (refused.value.status, refused.value.code) == (404, "version_not_found")
    assert refused.value.message.endswith(f"there are: {known}")
    assert versions.history("acme", "org/auto").live == 3
    assert versions.history(tenant, alias).live in (0, 3)


async def test_one_that_another_release_made_stays_where_it_is(versions):
    history = versions.history("acme", "org/auto")
    history.add(version(4, FEATURES - 1))
    history.live = 3
    await versions.write(history)
    with pytest.raises(Refusal) as refused:
        await roll_back(versions, "acme", "org/auto", 4, "cli")
    assert (refused.value.status, refused.value.code) == (409, "version_outdated")
    assert versions.history("acme", "org/auto").live == 3
    assert (await roll_back(versions, "acme", "org/auto", 2, "cli")).live == 2
