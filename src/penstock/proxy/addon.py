"""The addons that mitmproxy calls: the entrance of every flow, and the adopter of its HTTP layer."""

import json
import logging
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from mitmproxy import http
from mitmproxy.proxy import layer

from penstock.errors import Refusal
from penstock.proxy import viewer, websocket
from penstock.proxy.door import FlowDoor
from penstock.proxy.source import SourceLayer

log = logging.getLogger("penstock.proxy")
HEALTH = "/healthz"


def _guarded(
    hook: "Callable[[Entrance, http.HTTPFlow], None]",
) -> "Callable[[Entrance, http.HTTPFlow], None]":
    """Refuse the flow when a hook of ours breaks: mitmproxy alone would send it on as it is."""

    def guarded(self: "Entrance", flow: http.HTTPFlow) -> None:
        try:
            hook(self, flow)
        except Refusal as refusal:
            viewer.blank(flow)
            flow.response = _answer(refusal.status, refusal.shape())
        except Exception:
            log.exception("a hook broke; the flow is refused")
            viewer.blank(flow)
            broken = Refusal(500, "internal_error", "The gateway could not handle this request.")
            flow.response = _answer(500, broken.shape())

    return guarded


class Entrance:
    """Where flows come in. It must stand before every viewer and dump in mitmproxy's list."""

    name = "penstock.entrance"

    def __init__(self, door: FlowDoor) -> None:
        self._door = door
        self._forgotten: WeakSet[http.HTTPFlow] = WeakSet()  # WebSockets that must leave no trace

    @_guarded
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Begin the conversation and hide the client's keys, before anyone else sees the flow."""
        if flow.request.path == HEALTH:
            viewer.blank(flow)
            flow.response = _answer(200, {"status": "ok"})
        elif websocket.is_upgrade(flow):
            if "x-dac-store" in flow.request.headers:
                self._forgotten.add(flow)
            websocket.send_upstream(flow, self._door.gateway)
        else:
            self._door.begin(flow)

    @_guarded
    def request(self, flow: http.HTTPFlow) -> None:
        """Take the body off the flow."""
        if (conversation := self._door.conversation(flow)) is not None:
            conversation.take_body(flow)
        elif flow.response is not None:  # answered at the door: its body has come meanwhile
            viewer.blank(flow)

    def response(self, flow: http.HTTPFlow) -> None:
        """Show reviewers what they may see."""
        self._show(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """Show it for an answer that broke off, too."""
        self._show(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Hide the key that a WebSocket's handshake carried upstream."""
        if self._door.conversation(flow) is None:
            viewer.hide_secrets(flow, forget=flow in self._forgotten)

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Forget every message but the one on its way."""
        websocket.forget_messages(flow, but_last=True)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Forget the last one."""
        websocket.forget_messages(flow, but_last=False)

    def _show(self, flow: http.HTTPFlow) -> None:
        if (conversation := self._door.conversation(flow)) is not None and not self._door.quiet:
            viewer.show(flow, conversation.exchange)


class Adopter:
    """Makes mitmproxy's HTTP layers ours. It must stand after the addon that chooses layers."""

    name = "penstock.adopter"

    def __init__(self, door: FlowDoor, entrance: Entrance) -> None:
        self._door = door
        self._hooks = entrance if door.quiet else None

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Adopt what was chosen."""
        SourceLayer.adopt(nextlayer.context.layers, self._door, self._hooks)


def _answer(status: int, body: dict[str, Any]) -> http.Response:
    return http.Response.make(status, json.dumps(body), {"content-type": "application/json"})
