"""What can be wrong with an audit trail."""

from penstock.errors import PenstockError, StartError


class AuditUnavailable(PenstockError):
    """The audit trail can't be written. The message names places and numbers, never a value."""


class WrongKey(StartError):
    """Nothing in the trail was made with this keyring's key."""
