import io
import json
import logging
import threading

import pytest

from penstock import testing
from penstock.errors import Refusal
from penstock.openai.usage import Usage
from penstock.telemetry import log as logs

SECRET = "what the client said"


@pytest.fixture(autouse=True)
def loggers_as_they_were():
    root, ours = logging.getLogger(), logging.getLogger("penstock")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


@pytest.fixture
def written():
    """Log into memory; give the lines, once all are written."""
    out = io.StringIO()
    writer = logs.set_up("DEBUG", out)

    def lines():
        writer.close()
        return [json.loads(line) for line in out.getvalue().splitlines()]

    return lines


def test_a_line_is_one_json_object(written):
    logging.getLogger("penstock.chain").warning("two\nlines of %s", "ours")
    (line,) = written()
    assert line.pop("time")[10:11] == "T"
    assert line == {"level": "warning", "logger": "penstock.chain", "message": "two\nlines of ours"}


def test_a_librarys_words_stay_out(written):
    logging.getLogger("aiohttp.client").warning("sent %s", SECRET)
    logging.getLogger("aiohttp.client").info("sent %s", SECRET)
    (line,) = written()
    assert SECRET not in json.dumps(line)
    assert line["at"].startswith("test_log.py:")
    assert "message" not in line


def test_an_exceptions_words_stay_out(written):
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("penstock.x").exception("it broke")
    try:
        raise Refusal(400, "invalid_json", SECRET)
    except Refusal:
        logging.getLogger("penstock.x").exception("it was refused")
    broke, refused = written()
    assert SECRET not in json.dumps([broke, refused])
    assert broke["exception"]["type"] == "ValueError"
    assert broke["exception"]["at"][0].startswith("test_log.py:")
    assert refused["exception"]["code"] == "invalid_json"


def test_a_record_that_cannot_be_formatted_is_no_disaster(written, capsys):
    logging.raiseExceptions, before = False, logging.raiseExceptions
    try:
        logging.getLogger("penstock.x").warning("%d", "not a number")
        logging.getLogger("penstock.x").warning("next")
    finally:
        logging.raiseExceptions = before
    assert [line["message"] for line in written()] == ["next"]


def test_the_level_is_ours_alone():
    out = io.StringIO()
    writer = logs.set_up("WARNING", out)
    logging.getLogger("penstock.x").info("no")
    logging.getLogger("penstock.x").warning("yes")
    writer.close()
    assert [json.loads(line)["message"] for line in out.getvalue().splitlines()] == ["yes"]


class Stalled(io.StringIO):
    """A pipe that nobody reads until told to."""

    def __init__(self):
        super().__init__()
        self.read_on = threading.Event()

    def write(self, text):
        self.read_on.wait(10)
        return super().write(text)


def test_a_stalled_reader_stops_nobody_and_loses_the_oldest(monkeypatch):
    monkeypatch.setattr(logs, "_WAITING_LINES", 10)
    out = Stalled()
    writer = logs.set_up("INFO", out)
    logging.getLogger("penstock.x").info("first")
    while writer._lines:  # until the thread has taken it, and stands still
        pass
    for number in range(30):
        logging.getLogger("penstock.x").info("%d", number)
    out.read_on.set()
    writer.close()
    told = [json.loads(line)["message"] for line in out.getvalue().splitlines()]
    assert told == ["first", *map(str, range(20, 30))]


def test_a_closed_pipe_is_no_disaster():
    out = io.StringIO()
    writer = logs.set_up("INFO", out)
    out.close()
    logging.getLogger("penstock.x").info("nobody listens")
    writer.close()
    assert not writer._thread.is_alive()


@pytest.fixture
def told():
    """Write one exchange into a log at INFO; give its line, or None where there is none."""

    def write(exchange, reply=None, status=200, error="", level="INFO"):
        out = io.StringIO()
        writer = logs.set_up(level, out)
        logs.ExchangeLog(writer).write(exchange, reply, status, error, exchange.began + 0.25)
        writer.close()
        lines = out.getvalue().splitlines()
        assert len(lines) <= 1
        return json.loads(lines[0]) if lines else None

    return write


def marked():
    """An exchange with the secret wherever a client can write."""
    body = {
        "model": SECRET,
        "messages": [{"role": "user", "content": SECRET}],
        "user": SECRET,
        "stream": True,
    }
    exchange = testing.exchange(body=body, headers={"user-agent": SECRET, "authorization": SECRET})
    exchange.client_key = exchange.model = SECRET
    exchange.told_id = "req_of_the_upstream"
    exchange.decide("cache", "miss", "because")
    exchange.timings["cache"] = 0.0015
    exchange.attempts, exchange.upstream = 2, "openai"
    exchange.first_byte = exchange.began + 0.125
    exchange.usage = Usage(input_tokens=3, output_tokens=5, told={"said": SECRET})
    return exchange


async def test_an_exchange_is_told_without_content(told):
    exchange = marked()
    reply = testing.chat_stream(SECRET)()
    await testing.read(reply)
    line = told(exchange, reply)
    assert SECRET not in json.dumps(line)
    assert line.pop("time")
    assert line == {
        "level": "info",
        "logger": "penstock.exchange",
        "id": exchange.id,
        "tenant": "default",
        "endpoint": "chat.completions",
        "status": 200,
        "ms": 250.0,
        "request_id": "req_of_the_upstream",
        "stream": True,
        "decisions": {"cache": "miss"},
        "stage_ms": {"cache": 1.5},
        "upstream": "openai",
        "attempts": 2,
        "first_byte_ms": 125.0,
        "input_tokens": 3,
        "output_tokens": 5,
        "outcome": "complete",
    }


def test_of_an_ephemeral_one_only_that_it_was_there(told):
    exchange = marked()
    exchange.ephemeral = True
    line = told(exchange, None, 502, "upstream_closed")
    known = "time level logger id tenant endpoint status ms error ephemeral".split()
    assert list(line) == known
    assert line["ephemeral"] is True
    assert line["error"] == "upstream_closed"


def test_no_line_above_info(told):
    assert told(marked(), level="ERROR") is None
    assert told(marked(), level="DEBUG") is not None


def test_without_a_writer_nothing_is_written(capsys):
    logs.ExchangeLog().write(marked(), None, 200, "", 0.0)
    assert capsys.readouterr() == ("", "")
