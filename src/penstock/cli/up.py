"""`up`: checks what can be checked, then becomes the gateway process."""

import argparse
import ipaddress
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from penstock.errors import StartError
from penstock.settings import Address, Settings, UpSettings, make_state_folder, up_parser


def run(words: Sequence[str]) -> int:
    """Start the gateway in this process's place. Raises StartError."""
    parser = argparse.ArgumentParser("penstock up", parents=[up_parser()], allow_abbrev=False)
    options = parser.parse_args(words)
    up = UpSettings.of(options)
    make_state_folder(up.settings.state)
    _check_exposure(up, allowed=options.open)
    for flag, address in (("--listen", up.listen), ("--admin", up.admin)):
        _check_free(flag, address)
    metrics = _empty_folder(up.settings.state / "metrics" / str(up.listen).replace(":", "-"))
    # python -O leaves out mitmproxy's checks of its own types: a quarter of its CPU time.
    command = [sys.executable, "-O", "-m", "penstock.proxy.run", *words]
    os.execve(  # noqa: S606
        sys.executable, command, {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    )


def _check_exposure(up: UpSettings, *, allowed: bool) -> None:
    """Refuse a listener that others reach while there are no tenants: whoever reaches it may use it."""
    try:
        local = ipaddress.ip_address(up.listen.host).is_loopback
    except ValueError:
        local = up.listen.host == "localhost"
    if local and not allowed:
        return
    is_open = _is_open(up.settings)
    if is_open and not local and not allowed:
        raise StartError(
            f"--listen {up.listen}: other machines reach this address and no tenants are configured, "
            "so anyone there could use the gateway. Add --open if that is what you want."
        )
    if is_open:
        print("open mode: every client is the tenant 'default', and no key is asked for", file=sys.stderr)
    elif allowed:
        print("--open has no effect: tenants are configured, and every client needs a key", file=sys.stderr)


def _is_open(settings: Settings) -> bool:
    """Say whether no tenants are configured. Raises StartError, PolicyProblems."""
    from penstock.gateway import Policies  # half a second, which the usual listener need not wait for
    from penstock.tenants.policy import TenantsPolicy

    return Policies(settings).read()[TenantsPolicy].open


def _check_free(flag: str, address: Address) -> None:
    """Raise StartError where the address can't be listened on."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address.host, address.port))
            probe.listen(1)
    except OSError as problem:
        raise StartError(f"{flag} {address}: {problem.strerror or problem}") from None


def _empty_folder(folder: Path) -> Path:
    """Give the folder of this listener's metrics; what an earlier run counted is over."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()
    return folder
