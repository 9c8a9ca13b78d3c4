"""An upstream whose errors quote what the client sent: the worst that a log could copy from."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ERRORS = ("echo-400", "echo-text", "echo-path", "echo-garbled", "echo-error-event")
CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}],
}


class EchoUpstream:
    """A server on a thread; the model's name says how it fails."""

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
        body = self.rfile.read(int(self.headers["content-length"]))
        quoted = json.dumps(
            {"error": {"message": body.decode(), "type": body.decode(), "code": "bad"}}
        ).encode()
        chunk = b"data: " + json.dumps(CHUNK).encode() + b"\n\n"
        model = json.loads(body)["model"]
        if model == "echo-400":
            self._send(400, "application/json", quoted)
        elif model == "echo-text":
            self._send(500, "text/html", b"<html>" + body)
        elif model == "echo-path":
            self._send(500, "application/json", quoted.replace(b"}}", b'}, "at": " /srv/a/b/c.py"}'))
        elif model == "echo-garbled":
            self._send(200, "text/event-stream", chunk + b"data: {" + body + b"\n\n" + b"data: [DONE]\n\n")
        else:
            self._send(200, "text/event-stream", chunk + b"data: " + quoted + b"\n\n")

    def _send(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
