"""TLS and HTTP/2 towards the client, on the listener's one port, with a client that nobody here wrote."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from gateway_process import Gateway

from penstock.sample import Running

curl = pytest.mark.skipif(
    shutil.which("curl") is None
    or "HTTP2" not in subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout,
    reason="no curl that speaks HTTP/2",
)
SPEAKS = [("--http1.1", "1.1"), ("--http2", "2")]


def _command(gateway: Gateway, path: str, body: Any, *options: str) -> list[str]:
    ca = gateway.state / "mitmproxy" / "mitmproxy-ca-cert.pem"
    command = ["curl", "-sSN", "--cacert", str(ca), "--max-time", "20", "-D", "/dev/stderr", *options]
    command += ["-H", "content-type: application/json", f"https://localhost:{gateway.port}{path}"]
    command += ["--resolve", f"localhost:{gateway.port}:127.0.0.1"]
    return command if body is None else [*command, "--data-binary", json.dumps(body)]


async def _curl(gateway: Gateway, path: str, body: Any, *options: str) -> tuple[dict[str, str], bytes]:
    """Ask by curl; give the HTTP version, the status and the headers, and the body."""
    command, pipe = _command(gateway, path, body, *options), asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    out, told = await process.communicate()
    assert process.returncode == 0, told.decode()
    status, *lines = told.decode().strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    return {**headers, "version": status.split("/")[1].split()[0], "status": status.split()[1]}, out


@curl
@pytest.mark.parametrize(("option", "version"), SPEAKS)
async def test_a_plain_answer(
    gateway: Gateway, sample: Running, chat: dict[str, Any], words: str, option: str, version: str
):
    head, body = await _curl(gateway, "/v1/chat/completions", chat, option)
    assert (head["version"], head["status"]) == (version, "200")
    assert json.loads(body)["choices"][0]["message"]["content"] == f"You said: {words}"
    assert head["x-dac-cache"] == "miss"
    assert head["x-request-id"] == "req_sample00000001"


@curl
@pytest.mark.parametrize(("option", "version"), SPEAKS)
async def test_a_stream(gateway: Gateway, sample: Running, chat: dict[str, Any], option: str, version: str):
    head, body = await _curl(gateway, "/v1/chat/completions", {**chat, "stream": True}, option)
    assert (head["version"], head["status"]) == (version, "200")
    assert head["content-type"].startswith("text/event-stream")
    assert body.endswith(b"data: [DONE]\n\n")
    assert ("transfer-encoding" in head) is (version == "1.1")


@curl
@pytest.mark.parametrize(("option", "version"), SPEAKS)
async def test_an_error_and_an_unknown_path(
    gateway: Gateway, sample: Running, chat: dict[str, Any], option: str, version: str
):
    head, body = await _curl(gateway, "/v1/chat/completions", {**chat, "model": "fault-429"}, option)
    assert (head["version"], head["status"], head["retry-after"]) == (version, "429", "2")
    assert json.loads(body)["error"]["code"] == "rate_limit_exceeded"
    head, body = await _curl(gateway, "/v1/files/a%2Fb?x=%20", None, option)
    assert (head["version"], head["status"]) == (version, "404")
    assert (sample.requests[-1].path, sample.requests[-1].query) == ("/v1/files/a%2Fb", "x=%20")


@curl
@pytest.mark.parametrize(("option", "version"), SPEAKS)
async def test_an_upload(gateway: Gateway, sample: Running, option: str, version: str, tmp_path: Any):
    (tmp_path / "upload").write_bytes(bytes(3_000_000))
    upload = (option, "-X", "POST", "-T", str(tmp_path / "upload"), "-H", "Expect:")
    head, body = await _curl(gateway, "/v1/files", None, *upload)
    assert (head["version"], head["status"]) == (version, "200")
    assert json.loads(body)["bytes"] == 3_000_000


@curl
@pytest.mark.parametrize("option", ["--http1.1", "--http2"])
async def test_a_client_that_leaves_a_stream(
    gateway: Gateway,
    sample: Running,
    chat: dict[str, Any],
    until: Callable[..., Awaitable[None]],
    option: str,
):
    body = {**chat, "model": "fault-hang-3", "stream": True}
    command, pipe = _command(gateway, "/v1/chat/completions", body, option), asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    assert b"data:" in await process.stdout.readline()
    assert sample.open_connections == 1
    process.terminate()
    await process.communicate()
    await until(lambda: sample.open_connections == 0, within_s=1)


@curl
async def test_many_streams_share_one_http2_connection(
    gateway: Gateway, sample: Running, chat: dict[str, Any], words: str, tmp_path: Any
):
    command = ["curl", "--parallel", "--parallel-max", "20"]
    for number in range(20):
        asked = {**chat, "stream": True, "seed": number}
        out = ("--http2", "-o", str(tmp_path / str(number)))
        command += ["--next"] if number else []
        command += _command(gateway, "/v1/chat/completions", asked, *out)[1:]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    async with asyncio.timeout(30):
        assert await process.wait() == 0
    for number in range(20):
        body = (tmp_path / str(number)).read_text()
        assert body.endswith("data: [DONE]\n\n")
        assert words.split()[-1] in body
    assert sample.calls == 20
