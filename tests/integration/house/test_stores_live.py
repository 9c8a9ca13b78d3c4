"""The stores under fire: a gateway or a Redis that is killed, frozen or shared."""

import http.client
import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass

import pytest
from gateway_process import Gateway
from tests.integration.house.house_parts import ask, ask_chat, chat, until
from tests.integration.house.load import Load

WORDS = 40


def told(answer):
    """Name an answer by its status and what the cache said."""
    return f"{answer.status} {answer.cache}"


def content(answer):
    return answer.json["choices"][0]["message"]["content"]


@pytest.fixture(scope="module")
def on_redis(new_gateway, redis):
    return new_gateway(options=["--store", redis.url])


@dataclass
class Killed:
    """What was found after kill -9 of a gateway under load, and the gateway that came after it."""

    integrity: str
    kept: int
    sizes: tuple[int, int, int]
    values: list[bytes]
    sent: int
    next: Gateway


@pytest.fixture(scope="module")
def killed(new_gateway):
    """Kill a gateway under load, look into its database, spoil two entries, and start the next one."""
    first = new_gateway()
    special = [ask_chat(first, text) for text in ("good", "spoilt", "moved")]
    assert {answer.cache for answer in special} == {"miss"}
    until(lambda: entries_of(first) == 3, "three entries")

    def send(number):
        try:
            return ask_chat(first, f"word {number}", stream=number % 2 == 0)
        except http.client.HTTPException as cut:  # the kill, in the middle of an answer
            raise ConnectionError from cut

    with Load(send) as load:
        until(lambda: load.count > 300, "some load")
        os.kill(first.pid, signal.SIGKILL)
        until(lambda: load.broken, "the end of the gateway")
    first.stop()
    with closing(sqlite3.connect(first.state / "penstock.db")) as database:
        integrity = database.execute("PRAGMA integrity_check").fetchone()[0]
        kept, *sizes = database.execute(
            "SELECT count(*), sum(size), sum(length(value)) FROM entries"
        ).fetchone()
        (book,) = database.execute("SELECT sum(bytes) FROM spaces").fetchone()
        values = [value for (value,) in database.execute("SELECT value FROM entries")]
        spoil(database)
    second = new_gateway(state=first.state, policies=first.policies)
    return Killed(integrity, kept, (*sizes, book), values, load.count + len(load.broken) + 32, second)


def entries_of(gateway):
    with closing(sqlite3.connect(gateway.state / "penstock.db")) as database:
        return database.execute("SELECT count(*) FROM entries").fetchone()[0]


def spoil(database):
    """Change one bit of the second entry, and put the first one's value into the third."""
    oldest = "SELECT seq, value FROM entries ORDER BY seq LIMIT 3"
    (_, other), (spoilt, value), (moved, _) = database.execute(oldest).fetchall()
    change = "UPDATE entries SET value = ? WHERE seq = ?"
    database.execute(change, (value[:-1] + bytes([value[-1] ^ 1]), spoilt))
    database.execute(change, (other, moved))
    database.commit()


def test_a_killed_gateway_leaves_a_whole_database(killed):
    assert killed.integrity == "ok"
    assert killed.kept > 100
    assert len(set(killed.sizes)) == 1, "sizes, values and the book of spaces disagree"


def test_every_entry_of_a_killed_gateway_gives_its_right_answer(killed, sample):
    sample.running.reset()
    answers = [ask_chat(killed.next, f"word {number}") for number in range(killed.sent)]
    hits = [number for number, answer in enumerate(answers) if answer.cache == "hit"]
    assert len(hits) == killed.kept - 3, "an entry that is there did not open"
    asked = {body["messages"][0]["content"] for body in sample.bodies()}
    assert not asked & {f"word {number}" for number in hits}
    for number in hits[::20]:
        fresh = ask_chat(killed.next, f"word {number}", {"X-DAC-Cache": "bypass"})
        assert content(answers[number]) == content(fresh)


def test_a_spoilt_entry_is_nobodys_answer(killed):
    answers = [ask_chat(killed.next, text) for text in ("good", "spoilt", "moved")]
    assert [answer.cache for answer in answers] == ["hit", "miss", "miss"]
    assert {answer.status for answer in answers} == {200}


def test_entries_are_sealed(killed):
    answer = ask_chat(killed.next, "good")
    assert answer.cache == "hit"
    words = content(answer).encode()
    assert len(words) > 8
    assert not [value for value in killed.values if words in value or b"choices" in value]


def test_a_killed_redis_stops_no_request(on_redis, redis):
    with Load(lambda number: ask_chat(on_redis, f"redis {number % WORDS}"), told=told) as load:
        until(lambda: load.answers["200 hit"] > 50, "hits")
        redis.signal(signal.SIGKILL)
        ended = load.count
        until(lambda: load.count > ended + 200, "requests while Redis is gone")
        redis.start()
        ended = load.count
        until(lambda: load.count > ended + 200, "requests after it is back")
    assert {answer.split()[0] for answer in load.answers} == {"200"}
    assert load.broken == []


@pytest.fixture(scope="module")
def neighbour(new_gateway, on_redis, redis, tmp_path_factory):
    """A second gateway on the same Redis, with the same key in a state folder of its own."""
    state = tmp_path_factory.mktemp("neighbour")
    shutil.copy2(on_redis.state / "keyring.key", state)
    return new_gateway(options=["--store", redis.url], state=state)


def shares(here, there):
    """Ask something new here, and say whether it is soon a hit there: only the store can carry it over."""
    text = os.urandom(8).hex()
    assert ask_chat(here, text).cache in ("miss", "")  # nothing is said of a cache that was skipped
    time.sleep(0.1)
    return ask_chat(there, text).cache == "hit"


def test_two_gateways_share_their_hits(on_redis, neighbour):
    assert until(lambda: shares(on_redis, neighbour), "a hit of the other's answer")
    assert until(lambda: shares(neighbour, on_redis), "a hit the other way")


def test_hits_come_again_within_five_seconds(on_redis, neighbour, redis):
    redis.signal(signal.SIGKILL)
    try:
        assert not shares(on_redis, neighbour)
    finally:
        redis.start()
    assert until(lambda: shares(on_redis, neighbour), "a hit from Redis", within_s=5)


def test_a_frozen_redis_is_not_waited_for(on_redis, redis, sample):
    redis.signal(signal.SIGSTOP)
    try:
        answers = [ask_chat(on_redis, f"frozen {number}") for number in range(3)]
        with Load(lambda number: ask_chat(on_redis, f"frozen and loaded {number}")) as load:
            until(lambda: load.count > 100, "answers while Redis is frozen")
    finally:
        redis.signal(signal.SIGCONT)
    assert {answer.status for answer in answers} == {200}
    assert set(load.answers) == {"200"}
    until(lambda: ask_chat(on_redis, "thawed").cache == "hit", "a hit after the thaw")


def test_a_store_that_must_be_there_refuses_in_openais_shape(on_redis, redis):
    policy = on_redis.policies / "cache.yaml"
    written = policy.read_text()
    try:
        policy.write_text(written.replace("on_failure: skip", "on_failure: reject"))
        redis.signal(signal.SIGKILL)
        answer = until(lambda: refused(on_redis), "the refusal")
        assert answer.status == 503
        assert answer.code == "cache_unavailable"
        assert answer.json["error"].keys() == {"message", "type", "param", "code"}
        assert answer.json["error"]["type"] == "api_error"
        assert answer.headers["x-request-id"].startswith("req_")
    finally:
        policy.write_text(written)
        redis.start()
    until(lambda: ask_chat(on_redis, "after the refusal").cache == "hit", "hits again")


def refused(gateway):
    """Ask something new, and give the answer once it is a refusal."""
    answer = ask(f"{gateway.base_url}/chat/completions", chat(os.urandom(8).hex()))
    return answer if answer.status != 200 else None


def test_readiness_tells_that_the_store_is_gone(on_redis, redis):
    redis.signal(signal.SIGKILL)
    try:
        down = until(lambda: unready(on_redis), "an answer that says no")
        assert down.status == 503
        assert down.json == {"status": "not ready", "gateway": "ok", "store": "down"}
    finally:
        redis.start()
    until(lambda: unready(on_redis) is None, "readiness")


def unready(gateway):
    answer = ask(f"{gateway.admin_url}/readyz")
    return answer if answer.status != 200 else None
