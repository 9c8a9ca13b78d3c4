"""Gateway: everything behind a door. It owns the stages, the stores and the live policies."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from penstock.chain import Chain, ChainPolicy, chain_policy, demanded, in_order
from penstock.clock import SYSTEM
from penstock.errors import Refusal, StartError
from penstock.exchange import Exchange
from penstock.policy.base import Policy, PolicySet
from penstock.policy.load import load
from penstock.policy.reload import Reloader
from penstock.reply import Outcome, Reply, refused
from penstock.settings import Settings
from penstock.stage import Resources, find_stages
from penstock.stores.keyring import Keyring
from penstock.stores.near import NearStore
from penstock.stores.open import open_stores
from penstock.telemetry import metrics
from penstock.telemetry.log import ExchangeLog, LineWriter
from penstock.upstream.policy import UpstreamsPolicy

log = logging.getLogger("penstock.gateway")
_NEAR_BYTES: Final = 4 * 1024 * 1024  # enough for what was just put and for what is asked all the time
_PLAIN_ID: Final = re.compile(r"[\w.:-]{1,80}", re.ASCII)  # an upstream may echo what a client sent
CLIENT_LEFT: Final = 499  # nginx's word for a client that did not wait for its answer


class Policies:
    """Reads the policy set that these settings and stages ask for."""

    def __init__(self, settings: Settings, only: Sequence[str] = ()) -> None:
        self._settings = settings
        self.stages = find_stages(settings.stage_dir)
        self._only = in_order(only, self.stages) if only else ()
        kinds = (kind for stage in self.stages.values() for kind in (stage.policy, *stage.nouns))
        self.kinds: tuple[type[Policy], ...] = (chain_policy(self.stages), *dict.fromkeys(kinds))

    def read(self) -> PolicySet:
        """Read and check everything. Raises PolicyProblems, StartError."""
        return self.overridden(load(self._settings.policies, self.kinds))

    def chain(self) -> Chain:
        """Build the stages; they are not started."""
        return Chain({name: stage() for name, stage in self.stages.items()})

    def overridden(self, policies: PolicySet) -> PolicySet:
        """Put what the command line says over what the files say. Raises StartError."""
        if self._only:
            for name, why in demanded(self._only, policies, self.stages):
                raise StartError(f"stage {name} must run too, since {why}")
            policies = policies.replacing(policies[ChainPolicy].model_copy(update={"order": self._only}))
        if self._settings.upstream:
            try:
                policies = policies.replacing(policies[UpstreamsPolicy].at(self._settings.upstream))
            except ValueError as problem:
                raise StartError(f"--upstream {self._settings.upstream}: {problem}") from None
        return policies


class Gateway:
    """Answers exchanges. Built with its policies read; `start` opens the rest.

    `only` names the stages to run in place of the order in chain.yaml; `writer` takes a line for
    each exchange. Raises StartError.
    """

    def __init__(
        self, settings: Settings, only: Sequence[str] = (), writer: LineWriter | None = None
    ) -> None:
        self._settings = settings
        self._log = ExchangeLog(writer)
        self._source = Policies(settings, only)
        self._reloader = Reloader(
            settings.policies, self._source.kinds, on_set=self._take_set, on_problem=self._keep_set
        )
        self.policies = self._source.read()
        self._keyring = Keyring.in_folder(settings.state)
        self.chain = self._source.chain()
        self._recorder = metrics.Recorder()

    @property
    def max_request_bytes(self) -> int:
        """The largest body of an understood endpoint."""
        return self.policies[ChainPolicy].max_request_bytes

    async def start(self) -> None:
        """Start the stages and watch the policies. Raises StartError."""
        metrics.RELOAD_FAILED.set(0)
        stores = await open_stores(self._settings.store, SYSTEM)
        near = NearStore(stores.entries, SYSTEM, limit_bytes=_NEAR_BYTES)
        self._stores = replace(stores, entries=near)
        await self.chain.start(
            Resources(near, stores.ledger, stores.records, self._keyring, self._settings.state)
        )
        self.chain.accept(self.policies)
        self._reloader.start()

    async def close(self) -> None:
        """Stop in the opposite order; what stores still hold back is written."""
        await self._reloader.stop()
        await self.chain.stop()
        await self._stores.close()

    def reload(self) -> None:
        """Read the policies again, changed or not."""
        self._reloader.reload()

    async def answer(self, exchange: Exchange, refusal: Refusal | None = None) -> Reply:
        """Answer one exchange, or refuse it for what was wrong before the chain. Never raises an error."""
        try:
            if refusal is not None:
                raise refusal
            reply = await self.chain.answer(exchange)
        except Refusal as refused_by:
            exchange.error_code = refused_by.code
            reply = refused(refused_by)
        except Exception:
            log.exception("exchange %s broke the chain", exchange.id)
            exchange.error_code = "internal_error"
            reply = refused(Refusal(500, "internal_error", "The gateway could not handle this request."))
        told_id = reply.headers.setdefault("x-request-id", exchange.id)
        exchange.told_id = told_id if _PLAIN_ID.fullmatch(told_id) else ""
        reply.headers.update(exchange.answer_headers)
        return reply

    def close_books(self, exchange: Exchange, reply: Reply | None) -> None:
        """Write down how an exchange ended; `reply` is None where the client left before there was one."""
        ended = SYSTEM.monotonic()
        status = reply.status if reply else CLIENT_LEFT
        error = exchange.error_code or ("" if reply else "client_left")
        if reply is not None and reply.stream is not None:
            if reply.stream.failure is not None:
                error = reply.stream.failure.code
            elif reply.stream.started and reply.stream.outcome is Outcome.ABANDONED:
                error = "client_left"
        self._recorder.record(exchange, status, error, ended)
        self._log.write(exchange, reply, status, error, ended)

    def _take_set(self, policies: PolicySet) -> None:
        try:
            policies = self._source.overridden(policies)
            self.chain.accept(policies)
        except StartError as problem:
            return self._keep_set(problem)
        self.policies = policies
        metrics.RELOADS.inc()
        metrics.RELOAD_FAILED.set(0)
        log.info("policies %s are live", policies.digest[:12])

    def _keep_set(self, problems: StartError) -> None:
        metrics.RELOAD_FAILED.set(1)
        log.error("policies refused, %s stays live:\n%s", self.policies.digest[:12], problems)
