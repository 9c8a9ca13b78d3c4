"""Settings: what the command line and the environment say before any policy is read."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from penstock.errors import StartError

_BESIDE_THE_CODE: Final = Path(__file__).parents[2] / "policies"
_IN_THE_PACKAGE: Final = Path(__file__).parent / "shipped_policies"


def shipped_policies() -> Path:
    """Give the folder of the policies that come with Penstock: the checkout's, or the wheel's."""
    return _BESIDE_THE_CODE if _BESIDE_THE_CODE.is_dir() else _IN_THE_PACKAGE


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `HOST:PORT`, `:PORT` or `[V6]:PORT`. Raises ValueError, as argparse wants it."""
        host, _, port = text.rpartition(":")
        if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(text)
        return cls(host.strip("[]") or "127.0.0.1", int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What every verb knows. `upstream` replaces the default upstream's URL."""

    policies: Path
    state: Path
    store: str
    upstream: str | None = None
    stage_dir: Path | None = None

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Settings":
        """Take them from parsed options."""
        state = Path(options.state)
        return cls(
            Path(options.policies),
            state,
            options.store or f"sqlite:///{state / 'penstock.db'}",
            options.upstream,
            Path(options.stage_dir) if options.stage_dir else None,
        )

    @classmethod
    def from_environment(cls) -> "Settings":
        """Take them from PENSTOCK_* and the defaults alone."""
        return cls.of(options_parser().parse_args([]))


def options_parser() -> argparse.ArgumentParser:
    """Make the options that every verb takes; each has an environment variable of the same name."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)

    def option(flag: str, default: Any, what: str) -> None:  # noqa: ANN401
        variable = "PENSTOCK_" + flag.strip("-").replace("-", "_").upper()
        value = os.environ.get(variable) or default
        parser.add_argument(flag, default=value, metavar=what.split()[0], help=f"{what} [{variable}]")

    option("--policies", str(shipped_policies()), "DIR of the policy files")
    option("--state", ".penstock", "DIR for the key, the embedded store and metrics")
    option("--store", None, "URL of the store: sqlite:///PATH or redis://HOST:PORT/N")
    option("--upstream", None, "URL that replaces the default upstream's, /v1 included")
    option("--stage-dir", None, "DIR with stages of your own, one Python file each")
    return parser


def make_state_folder(state: Path) -> None:
    """Make the state folder, private. Raises StartError when it can't be written."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = state / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as problem:
        raise StartError(f"{state}: the state folder can't be written: {problem.strerror}") from None


@dataclass(frozen=True, slots=True)
class UpSettings:
    """What `penstock up` knows beside the settings."""

    settings: Settings
    listen: Address
    admin: Address
    ui: str
    log_level: str

    @classmethod
    def of(cls, options: argparse.Namespace) -> "UpSettings":
        """Take them from parsed options."""
        return cls(
            Settings.of(options), options.listen, options.admin, options.ui, log_level_from_environment()
        )


def up_parser() -> argparse.ArgumentParser:
    """Make the options of `up`."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, parents=[options_parser()])
    for flag, default, what in (
        ("--listen", "127.0.0.1:8080", "where clients connect"),
        ("--admin", "127.0.0.1:9090", "where /healthz, /readyz and /metrics are"),
    ):
        variable = "PENSTOCK_" + flag.strip("-").upper()
        parser.add_argument(
            flag,
            type=address_option,
            default=os.environ.get(variable) or default,
            metavar="HOST:PORT",
            help=f"{what}, {default} if not given [{variable}]",
        )
    parser.add_argument(
        "--ui",
        choices=("none", "web", "console"),
        default=os.environ.get("PENSTOCK_UI") or "none",
        help="look at flows in mitmweb or in mitmproxy's console",
    )
    parser.add_argument(
        "--open",
        action="store_true",
        help="allow a listener that other machines reach although no tenants are configured",
    )
    return parser


def log_level_from_environment() -> str:
    """Read PENSTOCK_LOG_LEVEL. Raises StartError for a word that is no level."""
    level = os.environ.get("PENSTOCK_LOG_LEVEL", "INFO").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise StartError(f"PENSTOCK_LOG_LEVEL={level}: use DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return level


def address_option(text: str) -> Address:
    """Read an address for argparse."""
    try:
        return Address.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT") from None
