"""The line that the gateway writes to the admin process."""

import json
from pathlib import Path

from penstock.admin.server import Told
from penstock.settings import Address

LINE = {
    "admin": "127.0.0.1:9090",
    "gateway": "[::1]:8080",
    "store": "redis://:a-password@127.0.0.1:6379/0",
    "state": ".penstock",
    "policies": "policies",
}


def test_it_is_read() -> None:
    told = Told.read(json.dumps(LINE).encode() + b"\n")
    assert (told.admin, told.gateway) == (Address("127.0.0.1", 9090), Address("::1", 8080))
    assert (told.store, told.state, told.policies) == (LINE["store"], Path(".penstock"), Path("policies"))
