"""`explain`: says which stages would act on a request, and why, without calling anyone."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from multidict import CIMultiDict

from penstock.chain import Chain
from penstock.cli.table import table
from penstock.errors import Refusal, StartError, StoreUnavailable
from penstock.exchange import Exchange
from penstock.gateway import Policies
from penstock.openai.request import Json, parse_body, request_of
from penstock.settings import Settings, options_parser
from penstock.stage import Resources
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_stores


def run(words: Sequence[str]) -> int:
    """Print what each stage would do. Raises StartError."""
    parser = argparse.ArgumentParser("penstock explain", parents=[options_parser()], allow_abbrev=False)
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="the request's JSON; - is stdin")
    parser.add_argument(
        "--path", help="the endpoint, such as /v1/embeddings; guessed from the JSON if left out"
    )
    parser.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'", help="may be repeated"
    )
    parser.add_argument("--tenant", default="default", metavar="T", help="who asks")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(words)
    settings = Settings.of(options)
    policies = Policies(settings)
    exchange, refusal = _exchange(options, policies)
    exchange.tenant = options.tenant
    chain = policies.chain()
    if (settings.state / "keyring.key").exists():  # a gateway ran here, and may have learned
        asyncio.run(_recall(chain, settings))
    decisions = [] if refusal else list(chain.explain(exchange))
    rows = [(decision.stage, decision.action, decision.reason) for decision in decisions]
    if refusal:
        rows = [("request", "refuse", f"{refusal.status} {refusal.code}: {refusal.message}")]
    if options.json:
        told = [{"stage": stage, "action": action, "reason": reason} for stage, action, reason in rows]
        print(msgspec.json.encode(told).decode())
    else:
        print(table(("stage", "action", "why"), rows))
    return 0


async def _recall(chain: Chain, settings: Settings) -> None:
    try:
        stores = await open_stores(settings.store)
    except StartError as problem:
        return print(f"without what was learned: {problem}", file=sys.stderr)
    try:
        keyring = Keyring.in_folder(settings.state)
        await chain.recall(Resources(stores.entries, stores.ledger, stores.records, keyring, settings.state))
    except StoreUnavailable as problem:
        print(f"without what was learned: {problem}", file=sys.stderr)
    finally:
        await stores.close()


def _exchange(options: argparse.Namespace, policies: Policies) -> tuple[Exchange, Refusal | None]:
    raw = _read(options.file)
    headers: CIMultiDict[str] = CIMultiDict()
    for line in options.header:
        name, colon, value = line.partition(":")
        if not colon:
            raise StartError(f"--header {line!r}: write it as 'NAME: VALUE'")
        headers.add(name.strip(), value.strip())
    live = policies.read()
    try:
        path = options.path or _guess(parse_body(raw))
        return Exchange(request_of("POST", path, headers, raw), live), None
    except Refusal as refusal:
        return Exchange(request_of("GET", "/v1/models", headers, b""), live), refusal


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as problem:
        raise StartError(f"{file}: {problem.strerror}") from None


def _guess(body: Json) -> str:
    if "messages" in body:
        return "/v1/chat/completions"
    if "prompt" in body:
        return "/v1/completions"
    return "/v1/embeddings" if "embed" in str(body.get("model")) else "/v1/responses"
