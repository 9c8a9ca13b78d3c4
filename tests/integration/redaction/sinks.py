"""All that a gateway leaves behind and all that its upstream got, as bytes to be searched."""

import json
import subprocess
import sys
from pathlib import Path

from gateway_process import Gateway
from tests.integration.house.house_parts import RedisProcess, SampleThread, ask

from penstock.sample.tally import Seen

UPSTREAM = "what the upstream got"


def sinks(gateway: Gateway, sample: SampleThread) -> dict[str, bytes]:
    """Read every sink of a running gateway."""
    return {
        **files(gateway.state),
        "the export as jsonl": exported(gateway.state, "jsonl"),
        "the export as csv": exported(gateway.state, "csv"),
        "the metrics": ask(f"{gateway.admin_url}/metrics").body,
        "stdout": "\n".join(gateway.out).encode(),
        "stderr": "\n".join([*map(json.dumps, gateway.log), *gateway.noise]).encode(),
        UPSTREAM: b"\n".join(map(received, list(sample.running.requests))),
    }


def files(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder; its name is searched as well."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def exported(state: Path, form: str) -> bytes:
    """Give all that `penstock audit export` prints."""
    command = [sys.executable, "-m", "penstock", "audit", "export", "--state", str(state), "--format", form]
    told = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return told.stdout + told.stderr


def kept_by(redis: RedisProcess) -> dict[str, bytes]:
    """Read all that a Redis holds: its keys, their values, and its files."""
    keys = redis.all_keys()
    dumps = [key.encode() + b" " + redis.call("DUMP", key) for key in keys]
    redis.call("SAVE")
    return {"Redis": b"\n".join(dumps), **files(redis.folder)}


def received(seen: Seen) -> bytes:
    """Give a request as the upstream got it."""
    headers = "\n".join(f"{name}: {value}" for name, value in seen.headers.items())
    return f"{seen.method} {seen.path}?{seen.query}\n{headers}\n\n".encode() + seen.body
