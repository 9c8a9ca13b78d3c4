"""Warnings: a log event and a webhook call when a limit's warning is due, once for each window."""

import asyncio
import hashlib
import hmac
import logging
from asyncio import Task
from datetime import tzinfo
from typing import Any, Final

import aiohttp
import msgspec

from penstock.budget.policy import Webhook
from penstock.budget.told import Stand
from penstock.policy.secret import read_secret

log = logging.getLogger("penstock.budget")
_TRIES: Final = 4
_AGAIN_S: Final = 1.0
_PATIENCE_S: Final = 10.0
SIGNATURE: Final = "x-dac-signature"


class Warner:
    """Tells whoever should know, off the road: figures and names of the policy, no content."""

    def __init__(self) -> None:
        self._secret: str | None = None
        self._telling: set[Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def accept(self, webhook: Webhook | None) -> None:
        """Read the webhook's secret. Raises StartError."""
        self._secret = read_secret(webhook.secret) if webhook and webhook.secret else None

    def warn(self, tenant: str, stand: Stand, zone: tzinfo, webhook: Webhook | None) -> None:
        """Tell of a limit that is used up to its warning."""
        limit = stand.limit
        told = {
            "event": "budget_warning",
            "tenant": tenant,
            "scope": limit.scope,
            "unit": limit.unit,
            "window": limit.window.value,
            "model": limit.model or None,
            "used": stand.standing.used,
            "limit": limit.amount,
            "resets_at": stand.resets_at(zone),
        }
        log.warning("budget: %s are used to %d %%", limit.named(tenant), stand.share * 100, extra=told)
        if webhook is not None:
            task = asyncio.get_running_loop().create_task(self._post(webhook, told))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def close(self) -> None:
        """Stop telling."""
        for task in self._telling:
            task.cancel()
        if self._session is not None:
            await self._session.close()

    async def _post(self, webhook: Webhook, told: dict[str, Any]) -> None:
        body = msgspec.json.encode(told)
        headers = {"content-type": "application/json"}
        if self._secret is not None:
            signature = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
            headers[SIGNATURE] = f"sha256={signature}"
        for tried in range(_TRIES):
            try:
                async with self._http().post(webhook.url, data=body, headers=headers) as answer:
                    if answer.status < 300:
                        return
                    problem = f"status {answer.status}"
            except (aiohttp.ClientError, TimeoutError) as failure:
                problem = type(failure).__name__
            await asyncio.sleep(_AGAIN_S * 2**tried)
        log.error("the budget webhook could not be told: %s", problem)

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
            self._session = aiohttp.ClientSession(timeout=timeout)
        return self._session
