"""Penstock in stock mitmproxy: `mitmdump|mitmweb|mitmproxy -s addons/chain.py --mode reverse:URL`.

A script's addons stand before mitmproxy's own views and dumps, which is where the entrance belongs;
the adopter must come after the addon that chooses layers, so the first handle adds it at the end.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.net.http.url import hostport
from mitmproxy.proxy import layer
from mitmproxy.proxy.mode_specs import ProxyMode, ReverseMode

from penstock.errors import StartError
from penstock.gateway import Gateway
from penstock.proxy import viewer
from penstock.proxy.addon import Adopter, Entrance
from penstock.proxy.door import FlowDoor
from penstock.proxy.run import IDLE_S
from penstock.settings import Settings, make_state_folder


class House:
    """The one gateway of a mitmproxy that was started with our scripts; handles join it by name."""

    name = "penstock.house"

    def __init__(self, first: "Handle") -> None:
        self._first = first
        self._wanted: list[str] = []
        self._whole_chain = False
        self._gateway: Gateway | None = None
        self._adopter: Adopter | None = None

    def join(self, stage: str | None) -> None:
        """Ask for a stage, or with None for the whole chain of chain.yaml."""
        if stage is None:
            self._whole_chain = True
        else:
            self._wanted.append(stage)

    async def running(self) -> None:
        """Open the gateway; what is wrong with it ends mitmproxy."""
        try:
            settings = _settings(ctx.options.mode)
            make_state_folder(settings.state)
            self._gateway = Gateway(settings, only=self._order())
            await self._gateway.start()
        except StartError as problem:
            print(problem, file=sys.stderr)
            sys.exit(2)  # as mitmproxy's own check of start-up errors does: shutdown() alone would end with 0
        ctx.options.update(connection_strategy="lazy", tcp_timeout=IDLE_S)
        door = FlowDoor(self._gateway, inspected=True)
        entrance = Entrance(door)
        self._adopter = Adopter(door, entrance)
        self._first.addons.append(entrance)

    async def done(self) -> None:
        """Close the gateway."""
        if self._gateway is not None:
            await self._gateway.close()

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Adopt mitmproxy's HTTP layer."""
        if self._adopter is not None:
            self._adopter.next_layer(nextlayer)

    def _order(self) -> tuple[str, ...]:
        if self._whole_chain:
            return ()
        # identify comes along: without it the client's key would neither go upstream nor part the cache.
        return ("identify", *self._wanted)


class Handle:
    """What one script of addons/ hands to mitmproxy; the first one leads to the entrance."""

    def __init__(self, stage: str | None) -> None:
        self._stage = stage
        self._house: House | None = None
        self.name = f"penstock.{stage or 'chain'}"
        self.addons: list[Entrance] = []

    def load(self, loader: Loader) -> None:
        """Find the house, or build it at the end of mitmproxy's list."""
        found = loader.master.addons.get(House.name)
        if found is None:
            found = self._house = House(self)
            loader.master.addons.add(found)
        found.join(self._stage)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Let nobody in, nor past us, until the gateway is open."""
        if self._house is not None and not self.addons:
            viewer.blank(flow)
            flow.response = http.Response.make(503, b"", {"retry-after": "1"})

    def request(self, flow: http.HTTPFlow) -> None:
        """Take the body off what was not let in."""
        if self._house is not None and not self.addons:
            viewer.blank(flow)


def chain() -> Handle:
    """Give the handle of the whole chain."""
    return Handle(None)


def stage(name: str) -> Handle:
    """Give the handle of one stage."""
    return Handle(name)


def _settings(modes: Sequence[str]) -> Settings:
    """Take the settings from the environment, and the upstream from --mode reverse:URL. Raises StartError."""
    settings = Settings.from_environment()
    if settings.upstream is not None:
        return settings
    mode = ProxyMode.parse(modes[0]) if len(modes) == 1 else None
    if not isinstance(mode, ReverseMode) or mode.scheme not in ("http", "https"):
        raise StartError("penstock needs mitmproxy in one mode: --mode reverse:http://HOST:PORT")
    host, port = mode.address
    return replace(settings, upstream=f"{mode.scheme}://{hostport(mode.scheme, host, port)}/v1")
