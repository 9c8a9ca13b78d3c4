"""The gateway process: mitmproxy with few addons, the admin process beside it, and a clean end.

`penstock up` checks what it can, then becomes this process (`python -O -m penstock.proxy.run …`).
"""

import argparse
import asyncio
import gc
import logging
import os
import secrets
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from mitmproxy.addons import core, next_layer, proxyserver, tlsconfig
from mitmproxy.master import Master
from mitmproxy.options import Options
from mitmproxy.proxy.server import ConnectionHandler

from penstock.errors import StartError
from penstock.gateway import Gateway
from penstock.proxy.addon import Adopter, Entrance
from penstock.proxy.beside import AdminProcess
from penstock.proxy.door import FlowDoor
from penstock.proxy.source import SourceLayer
from penstock.settings import UpSettings, up_parser
from penstock.telemetry import log as logs

log = logging.getLogger("penstock.proxy")
# mitmproxy's idle watchdog can't be told that an answer is still awaited: it must outlast total_s.
IDLE_S: Final = 3600
_DRAIN_S: Final = 600.0
_LOOK_S: Final = 0.02


class SlimMaster(Master):
    """mitmproxy with the addons that a gateway needs: half the CPU of mitmdump's thirty-four."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._legacy_log_events.uninstall()  # it would format every line of our log once more
        self.addons.add(
            core.Core(),
            proxyserver.Proxyserver(),
            next_layer.NextLayer(),
            tlsconfig.TlsConfig(),
        )


class Lifecycle:
    """Says when the gateway is up, and lets answers finish before it goes down."""

    name = "penstock.lifecycle"

    def __init__(self, master: Master, up: UpSettings, admin: AdminProcess) -> None:
        self._master = master
        self._up = up
        self._admin = admin
        self._told_to_stop = 0
        self.failure: StartError | None = None

    async def running(self) -> None:
        """Check that the listener is up, then start the admin process and say where we are."""
        for server in self._proxyserver.servers:
            if server.last_exception is not None:
                self.failure = StartError(f"--listen {self._up.listen}: {_reason(server.last_exception)}")
                self._master.shutdown()
                return
        await self._admin.start()
        gc.collect()
        gc.freeze()  # what start-up made lives as long as the process: the collector need not walk it
        print(f"Penstock is ready. Base URL for your SDK: http://{self._up.listen}/v1", flush=True)
        print(f"Health and metrics: http://{self._up.admin}/readyz and /metrics", flush=True)

    def stop(self) -> None:
        """Begin to stop; a second call does not wait for answers."""
        self._told_to_stop += 1
        self._master.shutdown()

    async def done(self) -> None:
        """Take no new connections, let answers finish, close the idle ones."""
        for server in list(self._proxyserver.servers):
            if server.is_running:
                await server.stop()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DRAIN_S
        while connections := list(self._proxyserver.connections.values()):
            patient = self._told_to_stop < 2 and loop.time() < deadline
            for connection in connections:
                if not (patient and _is_answering(connection)):
                    _close(connection)
            await asyncio.sleep(_LOOK_S)
        await self._admin.stop()

    @property
    def _proxyserver(self) -> proxyserver.Proxyserver:
        return self._master.addons.get("proxyserver")  # type: ignore[no-any-return]


def _is_answering(connection: ConnectionHandler) -> bool:
    """Say whether a request is under way; WebSockets have no end to wait for."""
    return any(
        stream.flow.websocket is None
        for layer in connection.layer.context.layers
        if isinstance(layer, SourceLayer)
        for stream in layer.streams.values()
        if hasattr(stream, "flow")
    )


def _close(connection: ConnectionHandler) -> None:
    io = connection.transports.get(connection.client)
    if io is not None and io.handler is not None:
        io.handler.cancel("the gateway stops")


def _reason(problem: Exception) -> str:
    return os.strerror(problem.errno) if isinstance(problem, OSError) and problem.errno else str(problem)


def _web(options: Options) -> Master:
    from mitmproxy.tools.web.master import WebMaster  # 8 MB that a gateway without a viewer need not hold

    return WebMaster(options)


def _console(options: Options) -> Master:
    from mitmproxy.tools.console.master import ConsoleMaster  # as above

    return ConsoleMaster(options)


_MASTERS: Final[dict[str, Callable[[Options], Master]]] = {
    "none": SlimMaster,
    "web": _web,
    "console": _console,
}


def make_master(up: UpSettings) -> Master:
    """Make the Master for this --ui; both of mitmproxy's own show what viewer.py lets them see."""
    options = Options(confdir=str(up.settings.state / "mitmproxy"))
    master: Master = _MASTERS[up.ui](options)
    told: dict[str, Any] = {
        "mode": [f"reverse:http://upstream.invalid:1@{up.listen}"],
        "connection_strategy": "lazy",
        "tcp_timeout": IDLE_S,
    }
    if up.ui == "web":
        token = secrets.token_urlsafe(24)
        told |= {"web_password": token, "web_open_browser": False}
        print(f"mitmweb: http://127.0.0.1:8081/?token={token}", flush=True)
    options.update(**told)
    return master


async def serve(up: UpSettings, writer: logs.LineWriter) -> None:
    """Run until told to stop. Raises StartError."""
    gateway = Gateway(up.settings, writer=writer)
    await gateway.start()
    master = make_master(up)
    door = FlowDoor(gateway, inspected=up.ui != "none")
    entrance = Entrance(door)
    master.addons.chain.insert(0, master.addons.register(entrance))
    lifecycle = Lifecycle(master, up, AdminProcess(up))
    master.addons.add(Adopter(door, entrance), lifecycle)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lifecycle.stop)
    loop.add_signal_handler(signal.SIGHUP, gateway.reload)
    try:
        await master.run()
    finally:
        await gateway.close()
    if lifecycle.failure is not None:
        raise lifecycle.failure


def main() -> int:
    """Run the gateway; give the exit code."""
    parser = argparse.ArgumentParser("penstock up", parents=[up_parser()], allow_abbrev=False)
    try:
        up = UpSettings.of(parser.parse_args())
        writer = logs.set_up(up.log_level)
        asyncio.run(serve(up, writer))
    except StartError as problem:
        print(problem, file=sys.stderr)
        return 2
    writer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
