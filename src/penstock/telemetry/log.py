"""Logs: one JSON line each, on stderr, written by a thread so that a full pipe never stops the gateway.

A line holds ids, decisions and timings. It can't hold content: messages of exceptions are left out,
and libraries that log what passes through them are heard only from WARNING on.
"""

import logging
import sys
import threading
import time
import traceback
from collections import deque
from typing import IO, Any, Final

import msgspec

from penstock.clock import SYSTEM
from penstock.errors import Refusal
from penstock.exchange import Exchange
from penstock.reply import Reply

_FLUSH_S: Final = 0.05
_WAITING_LINES: Final = 100_000

_encode = msgspec.json.Encoder().encode


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object: time, level, logger and message."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line without its line end."""
        line: dict[str, Any] = {
            "time": _stamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if record.name.startswith("penstock"):
            line["message"] = record.getMessage()
        else:  # a library's text may quote what passed through it
            line["at"] = f"{record.filename}:{record.lineno} {record.funcName}"
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _where(record.exc_info[1])
        return _encode(line).decode()


class LineWriter(logging.Handler):
    """Hands lines to a thread that writes them in batches. When the reader stalls, the oldest are dropped."""

    def __init__(self, out: IO[str]) -> None:
        super().__init__()
        self._out = out
        self._lines: deque[str] = deque(maxlen=_WAITING_LINES)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line."""
        try:
            self.put(self.format(record))
        except Exception:
            self.handleError(record)

    def put(self, line: str) -> None:
        """Queue one finished line."""
        self._lines.append(line)

    def close(self) -> None:
        """Write what is queued and end the thread."""
        self._stop.set()
        self._thread.join(timeout=2)
        super().close()

    def _run(self) -> None:
        while not self._stop.wait(_FLUSH_S):
            self._write()
        self._write()

    def _write(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if lines:
            try:
                self._out.write("\n".join(lines) + "\n")
                self._out.flush()
            except (OSError, ValueError):
                pass  # nobody reads the log any more; the gateway goes on


def set_up(level: str, out: IO[str] | None = None) -> LineWriter:
    """Send Penstock's logs at `level`, and everyone else's from WARNING on, to `out` (stderr)."""
    writer = LineWriter(out or sys.stderr)
    writer.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [writer]
    root.setLevel(logging.WARNING)
    logging.getLogger("penstock").setLevel(level)
    return writer


class ExchangeLog:
    """Writes one line for each ended exchange, past the logging machinery: it is on every request's way.

    Without a writer, as in stock mitmproxy whose views show every flow, it writes nothing.
    """

    def __init__(self, writer: LineWriter | None = None) -> None:
        self._writer = writer if logging.getLogger("penstock").isEnabledFor(logging.INFO) else None

    def write(self, exchange: Exchange, reply: Reply | None, status: int, error: str, ended: float) -> None:
        """Log an exchange. Of an ephemeral one, only that it was there."""
        if self._writer is None:
            return
        line: dict[str, Any] = {
            "time": _stamp(SYSTEM.now()),
            "level": "info",
            "logger": "penstock.exchange",
            "id": exchange.id,
            "tenant": exchange.tenant,
            "endpoint": exchange.request.endpoint.value,
            "status": status,
            "ms": round((ended - exchange.began) * 1000, 3),
        }
        if error:
            line["error"] = error
        line |= {"ephemeral": True} if exchange.ephemeral else _details(exchange, reply)
        self._writer.put(_encode(line).decode())


def _details(exchange: Exchange, reply: Reply | None) -> dict[str, Any]:
    details: dict[str, Any] = {
        "stream": exchange.request.stream,
        "decisions": {decision.stage: decision.action for decision in exchange.decisions},
        "stage_ms": {stage: round(s * 1000, 3) for stage, s in exchange.timings.items()},
        "request_id": exchange.told_id,
        "upstream": exchange.upstream,
        "attempts": exchange.attempts,
    }
    if exchange.first_byte is not None:
        details["first_byte_ms"] = round((exchange.first_byte - exchange.began) * 1000, 3)
    if exchange.usage is not None:
        details["input_tokens"] = exchange.usage.input_tokens
        details["output_tokens"] = exchange.usage.output_tokens
    if reply is not None and reply.stream is not None:
        details["outcome"] = reply.stream.outcome.value
    return details


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"


def _where(problem: BaseException) -> dict[str, Any]:
    """Say what was raised and where. The message stays out: it may hold what a client sent."""
    frames = traceback.extract_tb(problem.__traceback__)
    place = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    told: dict[str, Any] = {"type": type(problem).__name__, "at": place}
    if isinstance(problem, Refusal):
        told["code"] = problem.code
    return told
