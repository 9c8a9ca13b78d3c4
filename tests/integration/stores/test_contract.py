"""The contract of `Store`, the same for every one of them."""

import asyncio

import pytest

from penstock.stores.protocol import Entry

pytest_plugins = ["redis_fixture"]

ROOMY = 1_000_000
ODD_TEXTS = [
    *("", " ", "a b", "a\0b", "a\n", "{a}", "}", "{", "*", "?[x]", "é", "日本", "🗝", "%", "%25", "a:b", "e:"),
    *("\ud800", "x" * 5000, "'; DROP TABLE entries; --", "\\", "age", "=", "__proto__"),
]


def entry(clock, key="k", value=b"v", space="cache:acme", lives_s=3600.0):
    return Entry(space, key, value, clock.now() + lives_s)


async def keys_of(store, candidates, space="cache:acme"):
    return [key for key in candidates if await store.get(space, key) is not None]


async def test_what_was_put_is_what_one_gets(store, clock):
    kept = entry(clock, lives_s=1234.567891)
    await store.put([kept], limit_bytes=ROOMY)
    assert await store.get("cache:acme", "k") == kept


async def test_nothing_is_there_before(store):
    assert await store.get("cache:acme", "k") is None
    assert await store.size_bytes("cache:acme") == 0


async def test_put_of_nothing_does_nothing(store):
    await store.put([], limit_bytes=ROOMY)
    assert await store.size_bytes("cache:acme") == 0


async def test_a_put_replaces_value_expiry_and_size(store, clock):
    await store.put([entry(clock, value=b"a" * 100)], limit_bytes=ROOMY)
    newer = entry(clock, value=b"bcd", lives_s=5)
    await store.put([newer], limit_bytes=ROOMY)
    assert await store.get("cache:acme", "k") == newer
    assert await store.size_bytes("cache:acme") == 3


async def test_the_last_of_one_key_in_one_put_wins(store, clock):
    await store.put([entry(clock, value=b"a"), entry(clock, value=b"bb")], limit_bytes=ROOMY)
    assert (await store.get("cache:acme", "k")).value == b"bb"
    assert await store.size_bytes("cache:acme") == 2


@pytest.mark.parametrize("value", [b"", b"\0", bytes(range(256)), b"\xff" * 300_000])
async def test_values_are_any_bytes(store, clock, value):
    await store.put([entry(clock, value=value)], limit_bytes=ROOMY)
    assert (await store.get("cache:acme", "k")).value == value
    assert await store.size_bytes("cache:acme") == len(value)


async def test_keys_are_any_text(store, clock):
    kept = [entry(clock, key=key, value=str(at).encode()) for at, key in enumerate(ODD_TEXTS)]
    await store.put(kept, limit_bytes=ROOMY)
    await store.size_bytes("cache:acme")  # a near store writes behind: now all of it went to its backend
    assert [await store.get("cache:acme", key) for key in ODD_TEXTS] == kept
    assert await store.delete("cache:acme", ODD_TEXTS) == len(ODD_TEXTS)
    assert await store.size_bytes("cache:acme") == 0


async def test_spaces_are_any_text_and_apart(store, clock):
    kept = [entry(clock, space=space, value=str(at).encode()) for at, space in enumerate(ODD_TEXTS)]
    await store.put(kept, limit_bytes=ROOMY)
    assert [await store.get(space, "k") for space in ODD_TEXTS] == kept
    assert [await store.size_bytes(e.space) for e in kept] == [len(e.value) for e in kept]
    assert await store.delete("*") == 1
    assert [await store.get(e.space, "k") for e in kept] == [None if e.space == "*" else e for e in kept]


async def test_an_entry_is_gone_at_its_very_second(store, clock):
    await store.put([entry(clock, lives_s=10)], limit_bytes=ROOMY)
    clock.advance(9.9)
    assert await store.get("cache:acme", "k") is not None
    assert await store.size_bytes("cache:acme") == 1
    clock.advance(0.2)
    assert await store.get("cache:acme", "k") is None
    assert await store.size_bytes("cache:acme") == 0


async def test_an_entry_that_has_expired_takes_its_older_self_with_it(store, clock):
    await store.put([entry(clock, value=b"old")], limit_bytes=ROOMY)
    await store.put([entry(clock, value=b"new", lives_s=-1)], limit_bytes=ROOMY)
    assert await store.get("cache:acme", "k") is None
    assert await store.size_bytes("cache:acme") == 0


async def test_an_entry_may_never_expire(store):
    forever = Entry("cache:acme", "k", b"v", float("inf"))
    await store.put([forever], limit_bytes=ROOMY)
    assert await store.get("cache:acme", "k") == forever


async def test_delete_counts_what_was_live(store, clock):
    dying = entry(clock, key="dying", lives_s=1)
    await store.put([entry(clock, key="a"), entry(clock, key="b"), dying], limit_bytes=ROOMY)
    clock.advance(2)
    assert await store.delete("cache:acme", ["a", "a", "dying", "never"]) == 1
    assert await store.delete("cache:acme", ["a"]) == 0
    assert await store.delete("cache:acme", []) == 0
    assert await keys_of(store, ["a", "b", "dying"]) == ["b"]


async def test_delete_of_a_space_leaves_the_others(store, clock):
    mine = [entry(clock, key=str(n)) for n in range(3)]
    await store.put([*mine, entry(clock, space="cache:acm")], limit_bytes=ROOMY)
    assert await store.delete("cache:acme") == 3
    assert await store.size_bytes("cache:acme") == 0
    assert await store.get("cache:acm", "k") is not None
    await store.put([mine[0]], limit_bytes=ROOMY)
    assert await store.get("cache:acme", "0") == mine[0]


async def test_a_large_space_is_deleted_whole(store, clock):
    await store.put([entry(clock, key=str(n)) for n in range(1203)], limit_bytes=ROOMY)
    assert await store.delete("cache:acme", [str(n) for n in range(602)]) == 602
    assert await store.delete("cache:acme") == 601
    assert await store.size_bytes("cache:acme") == 0


async def test_ping(store):
    await store.ping()


async def test_the_oldest_go_first_and_only_as_many_as_must(backend, clock):
    for key in "abcd":
        await backend.put([entry(clock, key=key, value=b"x" * 10)], limit_bytes=40)
    assert await keys_of(backend, "abcd") == list("abcd")  # exactly full is not too full
    await backend.put([entry(clock, key="e", value=b"x")], limit_bytes=40)
    assert await keys_of(backend, "abcde") == list("bcde")
    assert await backend.size_bytes("cache:acme") == 31


async def test_a_replaced_entry_counts_as_new(backend, clock):
    for key in "abca":
        await backend.put([entry(clock, key=key, value=b"x" * 10)], limit_bytes=30)
    await backend.put([entry(clock, key="d", value=b"x" * 10)], limit_bytes=30)
    assert await keys_of(backend, "abcd") == ["a", "c", "d"]


async def test_a_batch_is_kept_newest_last(backend, clock):
    await backend.put([entry(clock, key=key, value=b"x" * 10) for key in "abcde"], limit_bytes=20)
    assert await keys_of(backend, "abcde") == ["d", "e"]


async def test_the_last_of_one_key_in_a_batch_is_as_new_as_its_place(backend, clock):
    await backend.put([entry(clock, key=key, value=b"x" * 10) for key in "aba"], limit_bytes=10)
    assert await keys_of(backend, "ab") == ["a"]


async def test_expired_entries_go_before_live_ones(backend, clock):
    await backend.put([entry(clock, key="old", value=b"x" * 10)], limit_bytes=30)
    await backend.put([entry(clock, key="dying", value=b"x" * 10, lives_s=1)], limit_bytes=30)
    clock.advance(2)
    await backend.put([entry(clock, key="new", value=b"x" * 20)], limit_bytes=30)
    assert await keys_of(backend, ["old", "dying", "new"]) == ["old", "new"]
    assert await backend.size_bytes("cache:acme") == 30


async def test_an_entry_bigger_than_the_limit_is_not_kept(store, clock):
    await store.put([entry(clock, key="small", value=b"x"), entry(clock, value=b"old")], limit_bytes=10)
    await store.put([entry(clock, value=b"x" * 11)], limit_bytes=10)
    assert await store.get("cache:acme", "k") is None
    assert await store.get("cache:acme", "small") is not None
    assert await store.size_bytes("cache:acme") == 1


async def test_a_limit_is_of_one_space(backend, clock):
    for space in ("cache:a", "cache:b"):
        await backend.put([entry(clock, space=space, value=b"x" * 10)], limit_bytes=10)
    assert await backend.size_bytes("cache:a") == await backend.size_bytes("cache:b") == 10


async def test_a_limit_that_shrank_holds_after_one_put(backend, clock):
    await backend.put([entry(clock, key=str(n), value=b"x" * 10) for n in range(1300)], limit_bytes=ROOMY)
    await backend.put([entry(clock, key="last", value=b"x" * 10)], limit_bytes=20)
    assert await backend.size_bytes("cache:acme") == 20
    assert await keys_of(backend, ["1298", "1299", "last"]) == ["1299", "last"]


async def test_many_at_once_do_not_mix(store, clock):
    async def client(number):
        for turn in range(10):
            mine = entry(clock, key=f"{number}-{turn}", value=f"{number}-{turn}".encode())
            await store.put([mine], limit_bytes=ROOMY)
            assert await store.get(mine.space, mine.key) == mine

    await asyncio.gather(*(client(number) for number in range(32)))
    assert await store.delete("cache:acme") == 320


async def test_who_leaves_half_way_disturbs_nobody(store, clock):
    kept = [entry(clock, key=str(n), value=str(n).encode() * 100) for n in range(64)]
    await store.put(kept, limit_bytes=ROOMY)
    for _ in range(20):
        asked = [asyncio.create_task(store.get(e.space, e.key)) for e in kept]
        await asyncio.sleep(0)
        for task in asked[::2]:
            task.cancel()
        got = await asyncio.gather(*asked, return_exceptions=True)
        assert got[1::2] == kept[1::2]


async def test_concurrent_puts_keep_the_bound(backend, clock):
    puts = [backend.put([entry(clock, key=str(n), value=b"x" * (n % 7))], limit_bytes=50) for n in range(200)]
    await asyncio.gather(*puts)
    alive = await keys_of(backend, [str(n) for n in range(200)])
    assert await backend.size_bytes("cache:acme") == sum(int(key) % 7 for key in alive)
    assert 50 - 7 < await backend.size_bytes("cache:acme") <= 50
