"""Scripts, keys and URLs of Redis; what goes over a wire is in tests/integration/stores."""

import hashlib

import pytest

from penstock.errors import StartError, StoreUnavailable
from penstock.stores.wire import Script, Waits, Wire, encoded, key_root

WAITS = Waits(connect_s=1, operation_s=1, probe_s=1000)


def test_a_script_is_its_parts_in_their_order():
    script = Script("account", "size")
    before, after = script.text.index(b"local age, ends, book"), script.text.index(b"-- Weigh a space")
    assert before < after
    assert script.sha == hashlib.sha1(script.text, usedforsecurity=False).hexdigest()
    assert Script("size").sha != script.sha


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("acme", b"f:{acme}:"),
        ("cache:acme", b"f:{cache:acme}:"),
        ("x}y{", b"f:{x%7Dy%7B}:"),
        ("%", b"f:{%25}:"),
        ("", b"f:{%}:"),  # nothing between the braces would be no tag
        ("\ud800", b"f:{%ED%A0%80}:"),
    ],
)
def test_keys_of_one_name_share_a_slot_and_of_no_other_name(name, root):
    assert key_root("f", name) == root


def test_text_is_bytes_whatever_it_holds():
    assert encoded("a\0é\ud800") == b"a\0\xc3\xa9\xed\xa0\x80"


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://user:secret@host:1/2?client_name=secret", "redis://host:1/2"),
        ("rediss://:secret@host", "rediss://host:6379"),
        ("unix://:secret@/run/redis.sock?db=3", "unix:///run/redis.sock"),
    ],
)
async def test_where_it_goes_is_told_without_credentials(url, where):
    assert Wire(url, WAITS).where == where


@pytest.mark.parametrize("url", ["unix://", "redis://h/secret", "redis://h?secret=1", "redis://u:secret"])
async def test_an_url_that_can_not_be_read_is_not_repeated(url):
    with pytest.raises(StartError) as refused:
        Wire(url, WAITS)
    assert "secret" not in str(refused.value)


async def test_a_wire_to_nowhere_refuses_at_once(caplog):
    wire = Wire("unix:///nowhere/redis.sock", WAITS)
    with pytest.raises(StoreUnavailable):
        await wire.call("PING")
    await wire.start()
    with pytest.raises(StoreUnavailable, match=r"unix:///nowhere/redis\.sock is not there"):
        wire.call("PING").send(None)
    assert "tried again every 1000 s" in caplog.text
    await wire.stop()
    await wire.stop()
