"""`demo`: the official SDK, the gateway with the shipped policies and a sample upstream, at work."""

import argparse
import json
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from penstock.cli.table import table
from penstock.errors import StartError
from penstock.settings import Settings, options_parser

try:
    import openai
except ImportError as missing:
    raise StartError("the demo needs the openai package: run it by ./run.sh demo") from missing

_PATIENCE_S: Final = 30.0
_MESSAGES: Final[list[Any]] = [{"role": "user", "content": "Say hello to the penstock."}]
Json = dict[str, Any]


def run(words: Sequence[str]) -> int:
    """Drive a gateway of our own and print what its stages decided. Raises StartError."""
    parser = argparse.ArgumentParser("penstock demo", parents=[options_parser()], allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print the exchanges as JSON lines")
    options = parser.parse_args(words)
    rows = []
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as state:
        _say("Starting a sample upstream …")
        with _process(
            ["sample-upstream", "--listen", f"127.0.0.1:{_free_port()}"], "sample upstream: "
        ) as up:
            _say(f"Starting Penstock in front of {up.said} …")
            gateway = _gateway_words(Settings.of(options), up.said, Path(state))
            with _process(gateway, "Penstock is ready. Base URL for your SDK: ") as penstock:
                _say(f"Driving {penstock.said} with the openai SDK {openai.__version__} …\n")
                client = openai.OpenAI(base_url=penstock.said, api_key="sk-demo", max_retries=0)
                for title, call in _calls(client):
                    result = call()
                    rows.append((title, result, penstock.next_exchange()))
    _print(rows, as_json=options.json)
    _say("\nEverything that was started has ended.")
    return 0


def _gateway_words(settings: Settings, upstream: str, state: Path) -> list[str]:
    return [
        "up", "--listen", f"127.0.0.1:{_free_port()}", "--admin", f"127.0.0.1:{_free_port()}",
        "--upstream", upstream, "--state", str(state), "--store", f"sqlite:///{state / 'demo.db'}",
        "--policies", str(settings.policies),
    ]  # fmt: skip


def _calls(client: "openai.OpenAI") -> list[tuple[str, Callable[[], str]]]:
    chat = client.chat.completions
    none = {"X-DAC-Store": "none"}
    return [
        ("chat", lambda: _text(chat.create(model="demo", messages=_MESSAGES))),
        ("the same again", lambda: _text(chat.create(model="demo", messages=_MESSAGES))),
        ("the same, streamed", lambda: _joined(chat.create(model="demo", messages=_MESSAGES, stream=True))),
        ("the same, ephemeral", lambda: _text(
            chat.create(model="demo", messages=_MESSAGES, extra_headers=none))),
        ("another, streamed", lambda: _joined(chat.create(model="demo-2", messages=_MESSAGES, stream=True))),
        ("responses", lambda: client.responses.create(model="demo", input="Hello!").output_text),
        ("embeddings", lambda: _size(client.embeddings.create(model="demo", input="Hello!"))),
        ("an error", lambda: _error(lambda: chat.create(model="fault-429", messages=_MESSAGES))),
        ("a stream that is cut", lambda: _error(lambda: _joined(
            chat.create(model="fault-cut-3", messages=_MESSAGES, stream=True)))),
    ]  # fmt: skip


def _text(answer: Any) -> str:  # noqa: ANN401 - the SDK's own types
    return str(answer.choices[0].message.content)


def _joined(stream: Any) -> str:  # noqa: ANN401
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def _size(answer: Any) -> str:  # noqa: ANN401
    return f"{len(answer.data[0].embedding)} numbers"


def _error(call: Callable[[], object]) -> str:
    try:
        call()
    except openai.APIError as problem:
        return f"{type(problem).__name__}: {problem.code}"
    return "no error"


def _print(rows: Sequence[tuple[str, str, Json]], *, as_json: bool) -> None:
    if as_json:
        for title, result, exchange in rows:
            print(json.dumps({"call": title, "result": result, "exchange": exchange}))
        return
    cells = [
        (title, str(told["status"]), _decisions(told), f"{told['ms']:.1f}", result)
        for title, result, told in rows
    ]
    print(table(("call", "status", "what each stage decided (own time in ms)", "ms", "the SDK got"), cells))


def _decisions(told: Json) -> str:
    if told.get("ephemeral"):
        return "ephemeral: nothing is written down"
    timings = told.get("stage_ms", {})
    return " → ".join(
        f"{stage} {word} {timings.get(stage, 0):.2f}" for stage, word in told["decisions"].items()
    )


class _Child:
    """A process of ours: what it said when it was ready, and its exchange log line by line."""

    def __init__(self, said: str, exchanges: "queue.Queue[Json]") -> None:
        self.said = said
        self._exchanges = exchanges

    def next_exchange(self) -> Json:
        """Wait for the next exchange in its log."""
        return self._exchanges.get(timeout=_PATIENCE_S)


@contextmanager
def _process(words: Sequence[str], ready: str) -> Iterator[_Child]:
    """Run a verb until the block ends. Raises StartError when it does not become ready."""
    child = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "penstock", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if child.stdout is None or child.stderr is None:
        raise StartError("the demo can't read what its processes say")
    exchanges: queue.Queue[Json] = queue.Queue()
    threading.Thread(target=_read_log, args=(child.stderr, exchanges), daemon=True).start()
    try:
        line = child.stdout.readline()
        if not line.startswith(ready):
            raise StartError(f"penstock {words[0]} did not start; try it by itself: ./run.sh {words[0]}")
        yield _Child(line.removeprefix(ready).strip(), exchanges)
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=_PATIENCE_S)


def _read_log(log: IO[str], exchanges: "queue.Queue[Json]") -> None:
    for line in log:
        if line.startswith("{") and (told := json.loads(line)).get("logger") == "penstock.exchange":
            exchanges.put(told)
        elif not line.startswith("faults:"):
            sys.stderr.write(line)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
