"""Rollback: makes an earlier version of a scorer live, for the command line and the admin API."""

import logging

from penstock.errors import Refusal
from penstock.routing.versions import History, Versions

log = logging.getLogger("penstock.routing")


async def roll_back(versions: Versions, tenant: str, alias: str, number: int, who: str) -> History:
    """Make a version live, 0 for the prior, and give the history. `versions` have just looked.

    Raises Refusal (404, or 409 for one that an earlier release made), StoreUnavailable.
    """
    history = versions.history(tenant, alias)
    wanted = history.version(number)
    if not history.versions or (number and wanted is None):
        known = ", ".join(str(version.number) for version in history.versions) or "none"
        message = f"{alias} of {tenant} has no version {number}; there are: {known}"
        raise Refusal(404, "version_not_found", message, param="version")
    if wanted is not None and wanted.outdated:
        message = f"version {number} of {alias} was made by a release that saw prompts otherwise"
        raise Refusal(409, "version_outdated", message, param="version")
    history.live = number
    await versions.write(history)
    log.info("%s rolled %s of %s back to version %d", who, alias, tenant, number)
    return versions.history(tenant, alias)
