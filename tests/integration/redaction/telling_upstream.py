"""An upstream that says other people's values wherever an answer has room for them."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.integration.redaction.canaries import ALL, CANARIES

MAIL, CARD = CANARIES["EMAIL"], CANARIES["CREDIT_CARD"]
HEADERS = {
    "x-answered-for": MAIL,
    "openai-organization": CANARIES["SECRET"],
    "x-request-id": CANARIES["IBAN"],
}
WAYS = ("plain", "stream", "400", "404", "500", "302", "error", "error-event", "lines", "list", "long")
_CALL = {
    "index": 0,
    "id": MAIL,
    "type": "function",
    "function": {"name": MAIL, "arguments": json.dumps({"a": ALL})},
}
_TOKENS = {"content": [{"token": token, "top_logprobs": [{"token": ALL}]} for token in ALL.split()]}


def whole(path: str) -> dict:
    """Give an answer with canaries in every field."""
    around = {
        "id": MAIL,
        "model": MAIL,
        "system_fingerprint": CARD,
        "citations": [ALL],
        MAIL: {"deep": [ALL]},
    }
    if path.endswith("/responses"):
        part = {
            "type": "output_text",
            "text": ALL,
            "annotations": [{"title": ALL}],
            "logprobs": _TOKENS["content"],
        }
        said = {"type": "message", "id": MAIL, "role": "assistant", "content": [part]}
        thought = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": ALL}]}
        called = {"type": "function_call", "id": "f", "name": MAIL, "arguments": json.dumps({"a": ALL})}
        ran = {"type": "code_interpreter_call", "id": "c", "code": ALL, "result": ALL}
        return {**around, "object": "response", "status": "completed", "output": [thought, said, called, ran]}
    message = {
        **{name: ALL for name in ("content", "refusal", "reasoning_content")},
        "role": "assistant",
        "annotations": [{"url_citation": {"title": ALL, "url": f"mailto:{MAIL}"}}],
        "tool_calls": [_CALL],
        "audio": {"id": MAIL, "transcript": ALL},
    }
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": _TOKENS, "text": ALL}
    return {**around, "object": "chat.completion", "choices": [choice]}


def events(path: str) -> Iterator[dict]:
    """Give the same as events, its texts three characters at a time."""
    answer = whole(path)
    if path.endswith("/responses"):
        place = {"item_id": "m", "output_index": 0, "content_index": 0}
        kinds = ("output_text", "refusal", "reasoning_summary_text", "function_call_arguments", "odd")
        for kind in kinds:
            for at in range(0, len(ALL), 3):
                delta = {"type": f"response.{kind}.delta", **place, "delta": ALL[at : at + 3]}
                yield {
                    **delta,
                    "logprobs": [{"token": ALL[at : at + 3]}],
                    "item_id": MAIL if at == 3 else "m",
                }
            yield {"type": f"response.{kind}.done", **place, "text": ALL, MAIL: ALL}
        yield {"type": "response.completed", "response": answer}
        return
    head = {name: item for name, item in answer.items() if name != "choices"}
    for name in ("content", "refusal", "reasoning_content", "odd"):
        for at in range(0, len(ALL), 3):
            piece = ALL[at : at + 3]
            choice = {"index": 0, "delta": {name: piece}, "logprobs": {"content": [{"token": piece}]}}
            yield {**head, "choices": [{**choice, "finish_reason": None}]}
    for delta in ({"tool_calls": [_CALL]}, {"annotations": [{"title": ALL}]}, {MAIL: ALL}):
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None, "stop_reason": ALL}]}
    yield {
        **head,
        "choices": [{"index": 0, "delta": {}, "text": ALL, "finish_reason": "stop", "logprobs": _TOKENS}],
    }
    yield {**head, "choices": [], "usage": {"note": ALL}}


class TellingUpstream:
    """A server on a thread; the model's name says in which way it tells."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Print nothing."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        way = body["model"].removeprefix("telling-")
        if way.isdigit():
            error = {"error": {"message": ALL, "type": ALL, "code": MAIL, "param": ALL}, MAIL: ALL}
            self._send(int(way), "application/json", json.dumps(error).encode())
        elif way == "list":
            self._send(200, "application/json", json.dumps([ALL]).encode())
        elif way == "plain":
            self._send(200, "application/json", json.dumps(whole(self.path)).encode())
        else:
            self._send(200, "text/event-stream", b"".join(_lines(way, self.path)))

    def _send(self, status, kind, body):
        self.send_response(status)
        for name, value in {**HEADERS, "content-type": kind, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _lines(way: str, path: str) -> Iterator[bytes]:
    told = [json.dumps(event).encode() for event in events(path)]
    if way == "long":
        pad = {"index": 0, "delta": {"content": "x" * 9000 + MAIL}, "finish_reason": "stop"}
        told = [json.dumps({"choices": [pad]}).encode()]
    beside = f": {ALL}\nid: {MAIL}\n".encode() if way == "lines" else b""
    name = f"event: {MAIL}\n".encode() if way == "lines" else b""
    for data in told[:9] if way.startswith("error") else told:
        yield beside + name + b"data: " + data + b"\n\n"
    if way.startswith("error"):
        yield (b"event: error\n" if way == "error-event" else b"") + b"data: "
        yield json.dumps({"error": {"message": ALL, "type": MAIL}}).encode() + b"\n\n"
    yield beside + f": {ALL}\n\ndata: [DONE] {ALL}\n\n: {ALL}\n\ndata: {ALL}\n\n".encode()
