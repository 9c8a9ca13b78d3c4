"""The book of keys: made once, listed without their value, revoked for good, rotated for the same holder."""

import asyncio

import pytest

from penstock import testing
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryRecords
from penstock.tenants.book import KeyBook, NotRotatable
from penstock.tenants.key import KEYS, REVOKED_END, USES, mac_of, public_id, seal_use

RING = Keyring(bytes(32))


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords()


@pytest.fixture
def clock() -> testing.FrozenClock:
    return testing.FrozenClock()


@pytest.fixture
def book(records: MemoryRecords, clock: testing.FrozenClock) -> KeyBook:
    return KeyBook(records, RING, clock)


async def test_a_new_key_is_listed_with_its_holder(book: KeyBook, clock: testing.FrozenClock) -> None:
    made = await book.create("acme", "search", "ada", "laptop", clock.now() + 60)
    listed = await book.read()
    assert listed.keys == {made.key.id: made.key}
    assert (made.key.tenant, made.key.project, made.key.user, made.key.name) == (
        "acme",
        "search",
        "ada",
        "laptop",
    )
    assert (made.key.created_at, made.key.expires_at) == (clock.now(), clock.now() + 60)
    assert made.key.id == public_id(made.value)
    assert made.key.mac == mac_of(RING, made.value.encode())


async def test_the_value_is_kept_nowhere_and_not_shown_by_accident(
    book: KeyBook, records: MemoryRecords
) -> None:
    made = await book.create("acme")
    _, kept = await records.read(KEYS)
    secret = made.value[21:]
    assert kept
    assert not any(secret.encode() in sealed for sealed in kept.values())
    assert secret not in repr(made) + repr(made.key)


async def test_keys_are_listed_in_the_order_they_were_made(book: KeyBook, clock: testing.FrozenClock) -> None:
    ids = []
    for _ in range(5):
        ids.append((await book.create("acme")).key.id)
        clock.advance(1)
    assert list((await book.read()).keys) == ids


async def test_an_empty_book(book: KeyBook) -> None:
    listed = await book.read()
    assert (listed.keys, listed.uses, listed.unreadable) == ({}, {}, 0)


async def test_last_uses_are_listed(book: KeyBook, records: MemoryRecords) -> None:
    made = await book.create("acme")
    await records.put(USES, {made.key.id: seal_use(RING, made.key.id, 7.0)})
    assert (await book.read()).uses == {made.key.id: 7.0}


async def test_another_keyring_reads_nothing_and_says_how_much(book: KeyBook, records: MemoryRecords) -> None:
    await book.create("acme")
    listed = await KeyBook(records, Keyring(b"x" * 32)).read()
    assert (listed.keys, listed.unreadable) == ({}, 1)


async def test_a_revocation_holds_and_a_second_changes_nothing(
    book: KeyBook, clock: testing.FrozenClock
) -> None:
    made = await book.create("acme")
    clock.advance(5)
    first = await book.revoke(made.key)
    assert first.revoked_at == clock.now()
    clock.advance(5)
    again = await book.revoke((await book.read()).keys[made.key.id])
    assert again.revoked_at == first.revoked_at


async def test_a_rotation_gives_the_holder_a_new_key_and_ends_the_old_one_at_once(
    book: KeyBook, clock: testing.FrozenClock
) -> None:
    old = (await book.create("acme", "search", "ada", "laptop", clock.now() + 100)).key
    clock.advance(40)
    new = (await book.rotate(old)).key
    listed = (await book.read()).keys
    assert (new.tenant, new.project, new.user, new.name) == (old.tenant, old.project, old.user, old.name)
    assert new.id != old.id
    assert new.mac != old.mac
    assert listed[old.id].state(clock.now()) == "expired"
    assert listed[new.id].expires_at == clock.now() + 100, "it lives as long as the old one was to"


async def test_a_grace_lets_both_live_but_never_longer_than_the_old_one_had(
    book: KeyBook, clock: testing.FrozenClock
) -> None:
    endless, short = (
        (await book.create("acme")).key,
        (await book.create("acme", expires_at=clock.now() + 5)).key,
    )
    await book.rotate(endless, grace_s=60)
    await book.rotate(short, grace_s=60)
    listed = (await book.read()).keys
    assert listed[endless.id].expires_at == clock.now() + 60
    assert listed[endless.id].state(clock.now()) == "active"
    assert listed[short.id].expires_at == clock.now() + 5


async def test_a_dead_key_is_not_brought_back(book: KeyBook, clock: testing.FrozenClock) -> None:
    revoked = await book.revoke((await book.create("acme")).key)
    expired = (await book.create("acme", expires_at=clock.now())).key
    for dead, why in ((revoked, "revoked"), (expired, "expired")):
        with pytest.raises(NotRotatable, match=why):
            await book.rotate(dead, grace_s=60)


async def test_a_rotation_that_read_before_a_revocation_does_not_undo_it(book: KeyBook) -> None:
    read_before = (await book.create("acme")).key
    await book.revoke(read_before)
    await book.rotate(read_before, grace_s=3600)
    assert (await book.read()).keys[read_before.id].revoked_at is not None


async def test_a_store_that_gave_back_the_old_record_still_has_the_mark(
    book: KeyBook, records: MemoryRecords
) -> None:
    key = (await book.create("acme")).key
    _, before = await records.read(KEYS)
    assert before is not None
    await book.revoke(key)
    await records.put(KEYS, dict(before))
    _, after = await records.read(KEYS)
    assert after is not None
    assert key.id + REVOKED_END in after
    assert (await book.read()).keys[key.id].revoked_at is not None


async def test_many_at_once(book: KeyBook) -> None:
    made = await asyncio.gather(*(book.create("acme") for _ in range(20)))
    assert set((await book.read()).keys) == {each.key.id for each in made}
