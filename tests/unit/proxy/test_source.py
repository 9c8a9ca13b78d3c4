"""An upload passes piece by piece and holds its client back when the upstream can't keep up."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode
from mitmproxy.test import tflow

from penstock.proxy.source import SourceLayer, Upload


class _Transport:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def is_closing(self) -> bool:
        return False


async def test_pieces_come_in_order_and_the_empty_one_ends_them() -> None:
    upload = Upload()
    reading = asyncio.create_task(anext(upload))
    await asyncio.sleep(0)
    for piece in (b"a", b"bc", b""):
        upload.put(piece)
    assert await reading == b"a"
    assert [piece async for piece in upload] == [b"bc"]


async def test_a_client_that_is_too_fast_is_paused_until_all_is_taken() -> None:
    upload, transport = Upload(), _Transport()
    upload._transport = cast(Any, transport)
    for _ in range(15):
        upload.put(b"x")
    assert transport.calls == []
    upload.put(b"x")
    assert transport.calls == ["pause"]
    for _ in range(15):
        await anext(upload)
    assert transport.calls == ["pause"]
    await anext(upload)
    assert transport.calls == ["pause", "resume"]


def test_only_the_stock_http_layer_is_adopted() -> None:
    context = SimpleNamespace(
        client=tflow.tclient_conn(), server=tflow.tserver_conn(), layers=[], options=None
    )
    stock = HttpLayer(cast(Any, context), HTTPMode.transparent)
    other = cast(Any, object())
    SourceLayer.adopt([other, stock], door := cast(Any, object()), None)
    assert type(stock) is SourceLayer
    assert stock.door is door
    SourceLayer.adopt([stock], cast(Any, object()), None)
    assert stock.door is door, "and only once"
