"""Reversible redaction: a request's values become placeholders, and the answer gets them back.

Pure: no I/O, no waiting, no clock, no chance. The keyed MAC comes from outside.

vault = Vault(mac)                                     one for each exchange
body, redactions = redact(endpoint, body, find, vault, actions)
answer = restore_body(endpoint, answer, vault)         a whole answer
StreamRestorer(endpoint, vault)                        or a stream, event by event
"""

from penstock.redaction.actions import Action, Blocked, FileRule, Redaction
from penstock.redaction.answer import AnswerRules
from penstock.redaction.found import Find, Found, Remembered
from penstock.redaction.redact import redact
from penstock.redaction.restore import restore_body, wants_json
from penstock.redaction.stream import StreamRestorer
from penstock.redaction.vault import Vault

__all__ = [
    "Action",
    "AnswerRules",
    "Blocked",
    "FileRule",
    "Find",
    "Found",
    "Redaction",
    "Remembered",
    "StreamRestorer",
    "Vault",
    "redact",
    "restore_body",
    "wants_json",
]
