"""Work beside the road: its result comes, its process never outlives those who want it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor

import pytest
from jobs_house import until

from penstock.jobs import aside as module
from penstock.jobs.aside import Aside


async def wanted():
    return True


async def unwanted():
    return False


@pytest.fixture
def aside():
    return Aside()


def is_alive(pid):
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip()[:1] not in ("", "Z")


async def test_work_is_done_in_another_process_each_time(aside):
    first, second = [await aside.run(wanted, os.getpid) for _ in range(2)]
    assert len({first, second, os.getpid()}) == 3
    await until(lambda: not is_alive(first) and not is_alive(second))
    assert await aside.run(wanted, divmod, 7, 2) == (3, 1)
    assert aside.pid is None


async def test_what_the_work_raises_is_raised_here(aside):
    with pytest.raises(ZeroDivisionError):
        await aside.run(wanted, divmod, 7, 0)


async def test_a_process_that_was_killed_is_told_and_the_next_one_is_new(aside):
    working = asyncio.ensure_future(aside.run(wanted, time.sleep, 600))
    await until(lambda: aside.pid is not None)
    os.kill(aside.pid, signal.SIGKILL)
    with pytest.raises(BrokenExecutor):
        await working
    assert await aside.run(wanted, abs, -3) == 3


async def test_work_that_nobody_wants_any_more_is_ended(aside, monkeypatch):
    monkeypatch.setattr(module, "_ASK_S", 0.01)
    working = asyncio.ensure_future(aside.run(unwanted, time.sleep, 600))
    await until(lambda: aside.pid is not None)
    pid = aside.pid
    assert await working is None
    await until(lambda: not is_alive(pid))


async def test_it_is_asked_again_and_again_whether_it_is_wanted(aside, monkeypatch):
    monkeypatch.setattr(module, "_ASK_S", 0.001)
    asked = 0

    async def three_times():
        nonlocal asked
        asked += 1
        return asked < 3

    assert await aside.run(three_times, time.sleep, 600) is None
    assert asked == 3


async def test_a_question_that_fails_ends_the_work_too(aside, monkeypatch):
    monkeypatch.setattr(module, "_ASK_S", 0.01)

    async def broken():
        raise OSError

    working = asyncio.ensure_future(aside.run(broken, time.sleep, 600))
    await until(lambda: aside.pid is not None)
    pid = aside.pid
    with pytest.raises(OSError):  # noqa: PT011 - the one above
        await working
    await until(lambda: not is_alive(pid))


async def test_to_cancel_it_ends_its_process(aside):
    working = asyncio.ensure_future(aside.run(wanted, time.sleep, 600))
    await until(lambda: aside.pid is not None)
    pid = aside.pid
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    await until(lambda: not is_alive(pid))


SCRIPT = """
import asyncio, time
from penstock.jobs.aside import Aside

async def wanted():
    return True

async def main():
    aside = Aside()
    working = asyncio.ensure_future(aside.run(wanted, time.sleep, 600))
    while aside.pid is None:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    print(aside.pid, flush=True)
    await working

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_no_process_outlives_a_parent_that_was_killed(tmp_path):
    script = tmp_path / "gateway.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    worker = int(process.stdout.readline())
    os.kill(worker, 0)
    process.kill()
    process.wait()
    process.stdout.close()
    for _ in range(1_000):
        if not is_alive(worker):
            return
        time.sleep(0.01)
    os.kill(worker, signal.SIGKILL)
    raise AssertionError("the worker lives on")
