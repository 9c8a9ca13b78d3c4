"""Names of people, as far as a title, a greeting or a form field gives them away."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

from collections.abc import Iterator

from penstock.detect.finding import Finding
from penstock.detect.probe import CONTEXT, VERSION, Probe, compiled
from penstock.detect.source import Source

_UP = r"[A-Z\xa4\xc0-\xde\xff]"
_LOW = r"[a-z\xa4\xdf-\xff]"
_ONE = rf"{_UP}(?:{_LOW}+|{_LOW}*['\-]{_UP}{_LOW}+|\.)(?:-{_UP}{_LOW}+)?"
_NAME = rf"{_ONE}(?: (?:(?:van|von|de|der|den|da|di|la|del|bin|al|dos|du|le) )?{_ONE}){{0,3}}"
_FULL = rf"{_ONE}(?: (?:(?:van|von|de|der|den|da|di|la|del|bin|al|dos|du|le) )?{_ONE}){{1,3}}"

# (rule, gates, pattern): group 1 is the name.
_TRIGGERS = (
    ("person.title", (r"\b(?:mr|mrs|ms|mx|dr|prof|sr)\.? ", r"\b(?:herr|herrn|frau|mme|monsieur|madame|se.or|se.ora|sra|pani?a?|panem) [a-z]"),
     rf"\b(?:Mr|Mrs|Ms|Mx|Dr|Prof|Herrn?|Frau|Mme|Monsieur|Madame|Se\xf1ora?|Sra|Sr|Pana|Pani\xa0?|Panem)\.?[ ]+({_NAME})"),
    ("person.said", (r"name is ", r"name's ", r"call me ", r"hei(?:ss|\xdf)e ", "m'appelle ", "me llamo ", "mi chiamo ", "nazywam si"),
     rf"(?:[Nn]ame is|[Nn]ame's|[Ii]ch hei(?:ss|\xdf)e|[Mm]'appelle|[Mm]e llamo|[Mm]i chiamo|[Nn]azywam si.)[ ]+({_NAME})"),
    ("person.field", (r"(?:name|nazwisko|imi.|nom|nombre|nome)\b[\"']?\s{0,2}[:=]",),
     rf"(?:\b[Nn]ame|\b[Ff]ull[ _]?[Nn]ame|first[_ ]name|last[_ ]name|[Nn]azwisko(?: i imi.)?|[Nn]ombre|[Nn]om)[\"']?[ ]*[:=][ ]*[\"']?({_FULL})"),
    ("person.letter", (r"\bdear ", r"regards", r"sincerely", r"\bfrom: ", r"\bto: ", r"\bcc: "),
     rf"(?:\bDear[ ]+|(?:[Rr]egards|[Ss]incerely),?\s{{1,4}}|(?:^|\n)(?:From|To|Cc):[ ]+)({_FULL})"),
    ("person.mailbox", (r"[a-z]\s{1,2}<[^\s<>@]{1,64}@",), rf"({_FULL})[ ]+<[^\s<>@]+@[^\s<>@]+>"),
    ("person.role", (r"\b(?:patient|employee|applicant|traveler|traveller|tenant|customer|beneficiary|cardholder|account holder)\b",),
     rf"\b(?:[Pp]atient|[Ee]mployee|[Aa]pplicant|[Tt]ravell?er|[Cc]ardholder|[Aa]ccount holder|[Bb]eneficiary):?[ ]+({_FULL})"),
)  # fmt: skip
_NOT_NAMES = frozenset(
    """Sir Madam Team All Customer Hiring Manager Support Name Id Number Address Phone Email Date Corp Inc Ltd Gmbh Llc Bank Company
    University Hospital Service Services Group Clinic Center Centre Department Street Road The This That What Who When Your My Our
    Product File Class Model User Account Project Server Order Best Kind Regards Monday Tuesday Wednesday Thursday Friday Saturday
    Sunday January February March April May June July August September October November December""".split()
)


def _search(rule: str, pattern: str) -> "Probe":
    gates = next(gates for name, gates, _ in _TRIGGERS if name == rule)
    regex = compiled(pattern)

    def search(source: Source) -> Iterator[Finding]:
        for match in regex.finditer(source.data):
            start, end = match.span(1)
            while (
                end > start
                and source.plain[end - 1] in " ."
                and not source.plain[end - 2 : end - 1].isupper()
            ):
                end -= 1
            words = source.plain[start:end].split()
            if words and not any(word.strip(".,'") in _NOT_NAMES for word in words) and end - start > 2:
                yield Finding(start, end, "PERSON", rule, VERSION, False, CONTEXT, True)

    return Probe(rule, frozenset({"PERSON"}), gates, search)


PROBES = [_search(rule, pattern) for rule, _, pattern in _TRIGGERS]
