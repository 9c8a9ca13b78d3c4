"""`router`: shows the versions of a scorer, and puts an older one back."""

import argparse
import asyncio
from collections.abc import Sequence

import msgspec

from penstock.cli.table import table
from penstock.errors import Refusal, StartError, StoreUnavailable
from penstock.routing.learner import COLD_START
from penstock.routing.rollback import roll_back
from penstock.routing.versions import History, Versions
from penstock.settings import Settings, options_parser
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger

_HEAD = ("tenant", "alias", "version", "made", "outcomes", "promise", "digest", "why")
_PRIOR = "the prior: longer prompts gain more from the large model"
_OUTDATED = "; made by a release that saw prompts otherwise, so it can't be live"


def run(words: Sequence[str]) -> int:
    """Do what is asked. Raises StartError."""
    parser = argparse.ArgumentParser("penstock router", parents=[options_parser()], allow_abbrev=False)
    parser.add_argument("what", nargs="?", metavar="history|rollback", help="what to do")
    parser.add_argument("version", nargs="?", type=int, help="rollback: the version, 0 for the prior")
    parser.add_argument("--tenant", metavar="T", help="this tenant's scorers; rollback: whose")
    parser.add_argument("--alias", metavar="A", help="this alias's; rollback: which")
    parser.add_argument("--json", action="store_true", help="history: print JSON")
    options = parser.parse_args(words)
    if options.what not in ("history", "rollback"):
        raise StartError("penstock router: say what to do: history or rollback")
    settings = Settings.of(options)
    if not (settings.state / "keyring.key").exists():
        raise StartError(f"{settings.state}: no keyring there; --state names the gateway's state folder")
    try:
        return asyncio.run(_do(options, settings))
    except StoreUnavailable as problem:
        raise StartError(f"the store: {problem}") from None


async def _do(options: argparse.Namespace, settings: Settings) -> int:
    ledger, records = await open_ledger(settings.store)
    try:
        versions = Versions(records, Keyring.in_folder(settings.state))
        await versions.look()
        if options.what == "rollback":
            return await _rollback(options, versions)
        chosen = [
            history
            for history in versions.histories()
            if options.tenant in (None, history.tenant) and options.alias in (None, history.alias)
        ]
        _show(chosen, as_json=options.json)
        return 0
    finally:
        await records.close()
        await ledger.close()


def _show(histories: Sequence[History], *, as_json: bool) -> None:
    rows = [row for history in histories for row in _rows(history)]
    if as_json:
        print(msgspec.json.encode([dict(zip(_HEAD, row, strict=True)) for row in rows]).decode())
    else:
        print(table(_HEAD, rows) if rows else f"nothing was learned yet; what is live is {_PRIOR}")


def _rows(history: History) -> Sequence[tuple[str, ...]]:
    scoring = history.scoring()

    def number(version: int) -> str:
        return f"{version}{' (live)' if version == (scoring.number if scoring else 0) else ''}"

    prior = (history.tenant, history.alias, number(0), "", "0", "", COLD_START.digest(), _PRIOR)
    return [prior] + [
        (
            history.tenant,
            history.alias,
            number(version.number),
            version.made,
            str(version.outcomes),
            f"keeps {version.promise.share:.0%}" if version.promise else "",
            version.digest,
            version.why + (_OUTDATED if version.outdated else ""),
        )
        for version in history.versions
    ]


async def _rollback(options: argparse.Namespace, versions: Versions) -> int:
    if options.version is None or not options.tenant or not options.alias:
        raise StartError("penstock router rollback: say which: VERSION --tenant T --alias A")
    try:
        await roll_back(versions, options.tenant, options.alias, options.version, "cli")
    except Refusal as refusal:
        raise StartError(refusal.message) from None
    print(f"version {options.version} of {options.alias} is live for {options.tenant}")
    return 0
