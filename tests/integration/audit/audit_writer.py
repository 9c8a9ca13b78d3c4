"""A gateway's audit trail in a process of its own: writes records and says how many are durable.

    python audit_writer.py FOLDER NAME [LIMIT_BYTES]

Prints `durable N` after each flush. With a limit, no file may grow beyond it until a line comes on stdin;
then the writer prints `refused REASON` while it can't write, and `recovered` once it can.
"""

import asyncio
import contextlib
import resource
import sys
from pathlib import Path

from penstock.audit.problems import AuditUnavailable
from penstock.audit.record import Record
from penstock.audit.trail import Pace, Trail
from penstock.clock import SYSTEM
from penstock.stores.keyring import Keyring

PACE = Pace(write_s=0.002, head_records=40, rotate_bytes=40_000)


def record(name: str, at: int) -> Record:
    return Record(
        tenant=name,
        request=f"req_{at:024x}",
        direction="request",
        pointer="/messages/0/content",
        start=at,
        end=at + 5,
        type="EMAIL",
        detector="contact.email",
        version="1",
        checked=True,
        action="placeholder",
        policy="0123abcd",
        value_mac=f"{at:032x}",
    )


def say(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)


async def write(folder: Path, name: str) -> None:
    trail = Trail.open(folder, Keyring(bytes(32)), SYSTEM, pace=PACE)
    at, refused = 0, False
    while True:
        try:
            trail.add([record(name, at + more) for more in range(7)])
            at += 7
        except AuditUnavailable as problem:
            if not refused:
                say(f"refused {problem}")
            refused = True
        try:
            await trail.flush()
            if refused:
                say("recovered")
                refused = False
            say(f"durable {at}")
        except AuditUnavailable:
            await asyncio.sleep(0.01)


async def main() -> None:
    folder, name, *limit = sys.argv[1:]
    if limit:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit[0]), hard))
        asyncio.get_running_loop().add_reader(
            sys.stdin.fileno(), lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        )
    await write(Path(folder), name)


asyncio.run(main())
