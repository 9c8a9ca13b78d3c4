"""A file of ours: made for its owner, known again, and never taken from anybody else."""

import sqlite3
import stat

import pytest

from penstock.errors import StartError
from penstock.stores.sqlite_file import Layout, blob, number

THINGS = Layout(application_id=0x1234, version=2, schema="CREATE TABLE IF NOT EXISTS things (n INTEGER);")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "things.db"


def closed(connection, *statements):
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_it_is_made_for_its_owner_with_its_layout(path):
    connection = THINGS.connect(path, 1)
    assert number(connection, "SELECT count(*) FROM things") == 0
    assert number(connection, "SELECT count(*) + ? FROM things", 5) == 5
    assert number(connection, "PRAGMA application_id") == 0x1234
    assert number(connection, "PRAGMA user_version") == 2
    assert number(connection, "PRAGMA synchronous") == 1  # NORMAL
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    connection.close()


def test_it_is_known_again_and_its_content_kept(path):
    closed(THINGS.connect(path, 1), "INSERT INTO things VALUES (7)")
    connection = THINGS.connect(path, 1)
    assert number(connection, "SELECT n FROM things") == 7
    connection.close()


def test_an_older_layout_gets_what_it_lacks(path):
    older = Layout(application_id=0x1234, version=1, schema="CREATE TABLE old (n INTEGER);")
    closed(older.connect(path, 1))
    connection = THINGS.connect(path, 1)
    assert number(connection, "SELECT count(*) FROM things, old") == 0
    assert number(connection, "PRAGMA user_version") == 2
    connection.close()


def test_a_newer_or_another_layout_is_refused_and_left_alone(path):
    closed(Layout(0x1234, 3, THINGS.schema).connect(path, 1))
    with pytest.raises(StartError, match="newer Penstock"):
        THINGS.connect(path, 1)
    with pytest.raises(StartError, match="not Penstock's"):
        Layout(0x9999, 3, "CREATE TABLE mine (n INTEGER);").connect(path, 1)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("things",)]
    connection.close()


def test_a_schema_that_fails_leaves_nothing(path):
    broken = Layout(0x1234, 1, "CREATE TABLE half (n INTEGER); CREATE TABLE nonsense;")
    with pytest.raises(sqlite3.OperationalError):
        broken.connect(path, 1)
    connection = THINGS.connect(path, 1)
    assert number(connection, "SELECT count(*) FROM sqlite_schema") == 1
    connection.close()


async def test_a_lane_of_it_works_in_transactions(path):
    lane = await THINGS.lane(path, 10)
    await lane.ask(10, lambda connection: connection.execute("INSERT INTO things VALUES (7)"))
    assert await lane.ask(10, lambda connection: connection.in_transaction)
    reader = await THINGS.lane(path, 10, "BEGIN")
    assert await reader.ask(10, lambda connection: number(connection, "SELECT n FROM things")) == 7
    await reader.stop()
    await lane.stop()


async def test_a_lane_of_no_file_says_which(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StartError, match=r"file/things\.db: File exists"):
        await THINGS.lane(tmp_path / "file" / "things.db", 10)


@pytest.mark.parametrize("text", ["", "a\0b", "é", "\ud800"])
def test_any_text_is_a_blob_and_back(text):
    assert blob(text).decode("utf-8", "surrogatepass") == text
