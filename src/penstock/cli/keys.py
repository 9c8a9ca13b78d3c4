"""`keys`: creates, lists, revokes and rotates the keys that tenants' clients show."""

import argparse
import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from penstock.audit.record import stamp
from penstock.cli.table import table
from penstock.clock import SYSTEM
from penstock.errors import StartError, StoreUnavailable
from penstock.gateway import Policies
from penstock.policy.problems import closest, quoted
from penstock.settings import Settings, make_state_folder, options_parser
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger
from penstock.stores.records import Records
from penstock.tenants.book import KeyBook, Listed, Made, NotRotatable
from penstock.tenants.key import PREFIX, Key, public_id
from penstock.tenants.policy import TenantsPolicy

_TAKES: Final = {
    "create": frozenset({"tenant", "project", "user", "name", "expires"}),
    "list": frozenset({"tenant", "json"}),
    "revoke": frozenset({"id"}),
    "rotate": frozenset({"id", "grace"}),
}
_HEAD: Final = ("id", "tenant", "project", "user", "name", "created", "expires", "last use", "state")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST_NAME: Final = 100
_TRIES: Final = 10
_AGAIN_S: Final = 0.3

Verb = Callable[[argparse.Namespace, Settings, KeyBook], Awaitable[int]]


def run(words: Sequence[str]) -> int:
    """Do what is asked. Raises StartError."""
    options = _parser().parse_args(words)
    if options.what not in _TAKES:
        raise StartError("penstock keys: say what to do: create, list, revoke or rotate")
    for name in ("id", "tenant", "project", "user", "name", "expires", "grace", "json"):
        if getattr(options, name) and name not in _TAKES[options.what]:
            said = "ID" if name == "id" else f"--{name}"
            raise StartError(f"penstock keys {options.what} takes no {said}")
    verbs: dict[str, Verb] = {"create": _create, "list": _list, "revoke": _revoke, "rotate": _rotate}
    return asyncio.run(_with_book(verbs[options.what], options, Settings.of(options)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("penstock keys", parents=[options_parser()], allow_abbrev=False)
    parser.add_argument("what", nargs="?", metavar="create|list|revoke|rotate", help="what to do")
    parser.add_argument("id", nargs="?", metavar="ID", help="revoke, rotate: the key's public id")
    parser.add_argument("--tenant", metavar="T", help="create: who pays; list: this tenant's keys")
    parser.add_argument("--project", metavar="P", help="create: one of the tenant's projects")
    parser.add_argument("--user", metavar="U", help="create: one of the tenant's users")
    parser.add_argument("--name", metavar="N", help="create: what the key is for")
    parser.add_argument("--expires", metavar="WHEN", help="create: 90d, 12h, or 2027-01-31 (00:00 UTC)")
    parser.add_argument("--grace", metavar="TIME", help="rotate: how long the old key lives on, such as 24h")
    parser.add_argument("--json", action="store_true", help="list: print JSON")
    return parser


async def _with_book(verb: Verb, options: argparse.Namespace, settings: Settings) -> int:
    """Open what the gateway opens: the keyring of its state folder, and its store."""
    if options.what == "create":
        make_state_folder(settings.state)
    elif not (path := settings.state / "keyring.key").exists():  # to look at keys must not make one
        raise StartError(f"{path}: no such file; --state names the gateway's state folder")
    keyring = Keyring.in_folder(settings.state)
    ledger, records = await open_ledger(settings.store)
    try:
        return await verb(options, settings, KeyBook(_Patient(records), keyring))
    except StoreUnavailable as problem:
        raise StartError(f"the store of keys does not answer: {problem}") from None
    finally:
        await records.close()
        await ledger.close()


class _Patient:
    """Records for somebody who would rather wait a few seconds than type it again.

    What is written once more is the same as before, so that it does not matter whether the first got through.
    """

    def __init__(self, records: Records) -> None:
        self._records = records

    async def put(self, table: str, records: Mapping[str, bytes]) -> None:
        await self._again(lambda: self._records.put(table, records))

    async def delete(self, table: str, key: str) -> bool:
        return await self._again(lambda: self._records.delete(table, key))

    async def read(self, table: str, unless: int = 0) -> tuple[int, Mapping[str, bytes] | None]:
        return await self._again(lambda: self._records.read(table, unless))

    async def close(self) -> None:
        await self._records.close()

    async def _again[T](self, ask: Callable[[], Awaitable[T]]) -> T:
        for _ in range(_TRIES):
            try:
                return await ask()
            except StoreUnavailable:
                await asyncio.sleep(_AGAIN_S)
        return await ask()


async def _create(options: argparse.Namespace, settings: Settings, book: KeyBook) -> int:
    holder = (options.tenant or "", options.project or "", options.user or "")
    _check_holder(Policies(settings).read()[TenantsPolicy], *holder)
    name = options.name or ""
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise StartError(f"--name: at most {_LONGEST_NAME} characters, and none that steers a terminal")
    expires_at = _moment(options.expires) if options.expires else None
    _refuse_other_keyring(await book.read(), settings)
    _tell(await book.create(*holder, name, expires_at))
    return 0


async def _list(options: argparse.Namespace, settings: Settings, book: KeyBook) -> int:
    tenants = Policies(settings).read()[TenantsPolicy]
    listed = await book.read()
    rows = [
        _row(key, listed.uses.get(key.id), tenants)
        for key in listed.keys.values()
        if options.tenant in (None, key.tenant)
    ]
    if options.json:
        names = [head.replace(" ", "_") for head in _HEAD]
        told = [{name: value or None for name, value in zip(names, row, strict=True)} for row in rows]
        print(msgspec.json.encode(told).decode())
    else:
        print(table(_HEAD, rows))
    if listed.unreadable:
        print(f"{listed.unreadable} records were made with another keyring.key", file=sys.stderr)
    return 0


async def _revoke(options: argparse.Namespace, settings: Settings, book: KeyBook) -> int:
    key = await _known(options.id, settings, book)
    await book.revoke(key)
    print(f"{key.id} of {_holder(key)} is revoked: gateways refuse it within a second")
    return 0


async def _rotate(options: argparse.Namespace, settings: Settings, book: KeyBook) -> int:
    grace_s = _duration("--grace", options.grace) if options.grace else 0.0
    key = await _known(options.id, settings, book)
    try:
        made = await book.rotate(key, grace_s)
    except NotRotatable as why:
        raise StartError(f"{key.id} is {why}; make a new key with: penstock keys create") from None
    _tell(made)
    end = f"lives on for {options.grace}, or until its own end" if grace_s else "has ended"
    print(f"the key before it, {key.id}, {end}", file=sys.stderr)
    return 0


def _tell(made: Made) -> None:
    """Print the key alone on stdout, so that it can be captured, and the words around it beside."""
    until = f", until {_shown(made.key.expires_at)}" if made.key.expires_at is not None else ""
    print(f"{made.key.id} is a key of {_holder(made.key)}{until}. It is shown this once:", file=sys.stderr)
    sys.stderr.flush()
    print(made.value)


def _check_holder(tenants: TenantsPolicy, tenant: str, project: str, user: str) -> None:
    """Raise StartError for a name that tenants.yaml does not have."""
    if not tenant:
        raise StartError("penstock keys create: say who pays with --tenant")
    if tenants.open:
        raise StartError("tenants.yaml names no tenants; a key is somebody's")
    _check_name("tenant", tenant, tenants.tenants)
    if project:
        _check_name(f"project of {tenant}", project, tenants.tenants[tenant].projects)
    if user:
        _check_name(f"user of {tenant}", user, tenants.tenants[tenant].users)


def _check_name(what: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        raise StartError(f"there is no {what} called {quoted(name)}{_meant(name, names)}")


async def _known(key_id: str | None, settings: Settings, book: KeyBook) -> Key:
    """Give the key of an id; a whole key, as found where it leaked, will do as well. Raises StartError."""
    if not key_id:
        raise StartError("penstock keys: name a key by its public id; penstock keys list shows them")
    listed = await book.read()
    _refuse_other_keyring(listed, settings)
    if key_id.startswith(PREFIX):  # never repeated: it may be a key with a typo
        key_id = public_id(key_id) or ""
        if key_id not in listed.keys:
            raise StartError("there is no such key")
    if key_id not in listed.keys:
        raise StartError(f"there is no key {quoted(key_id)}{_meant(key_id, listed.keys)}")
    return listed.keys[key_id]


def _refuse_other_keyring(listed: Listed, settings: Settings) -> None:
    """Raise StartError where this state folder can't be that of the gateways on this store."""
    if listed.unreadable and not listed.keys:
        raise StartError(
            f"{settings.state / 'keyring.key'}: the keys of this store were made with another one; "
            "--state names the gateway's state folder"
        )


def _meant(name: str, names: Iterable[str]) -> str:
    near = closest(name, names)
    return f"; did you mean {quoted(near)}?" if near else ""


def _row(key: Key, used_at: float | None, tenants: TenantsPolicy) -> tuple[str, ...]:
    state = key.state(SYSTEM.now())
    tenant = tenants.tenant(key.tenant)
    if state == "active" and (tenant is None or not tenant.has(key.project, key.user)):
        state = "no holder"  # its tenant, project or user is no longer in tenants.yaml
    times = (_shown(key.created_at), _shown(key.expires_at), _shown(used_at))
    return (key.id, key.tenant, key.project, key.user, key.name, *times, state)


def _holder(key: Key) -> str:
    parts = (("project", key.project), ("user", key.user))
    return " ".join([f"tenant {key.tenant}", *(f"{what} {name}" for what, name in parts if name)])


def _shown(at: float | None) -> str:
    return "" if at is None else stamp(at)


def _moment(text: str) -> float:
    """Read when a key ends. Raises StartError for a time that is over, or no time."""
    if re.fullmatch(r"[0-9]+[a-z]", text):
        return SYSTEM.now() + _duration("--expires", text)
    try:
        read = datetime.fromisoformat(text)
        at = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise StartError(f"--expires {quoted(text)}: write it as 90d, 12h or 2027-01-31") from None
    if at <= SYSTEM.now():
        raise StartError(f"--expires {quoted(text)}: that is over already")
    return at


def _duration(flag: str, text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,5})([smhdw])", text)
    if match is None or not int(match[1]):
        raise StartError(f"{flag} {quoted(text)}: write it as 90d, 24h, 30m or 2w")
    return float(int(match[1]) * _SECONDS[match[2]])
