"""National and tax identifiers with letters in them, known by their form and their check character."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

import re
from itertools import pairwise

from penstock.detect.checks import date6, one_digit_repeated, weighted
from penstock.detect.checks_europe import fr_siren, it_iva, pt_nif
from penstock.detect.probe import Probe, Shape, bare

_NAT = ("natid", "someid")
_TAX = ("tax", "itin")


def it_codice_fiscale(value: str) -> bool:
    """Italian code: the 16th letter is the sum of two tables mod 26."""
    odd = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25,
        24, 23), strict=True))  # fmt: skip
    value = value.upper()
    total = sum(
        odd[c] if i % 2 == 0 else (int(c) if c.isdigit() else ord(c) - 65) for i, c in enumerate(value[:15])
    )
    return chr(65 + total % 26) == value[15]


def es_dni(value: str) -> bool:
    """Spanish DNI and NIE: the letter is the number mod 23."""
    value = bare(value).upper()
    number = value[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == value[-1]


def es_cif(value: str) -> bool:
    """Spanish company number."""
    value = bare(value).upper()
    total = sum(sum(divmod(int(c) * (2 - i % 2), 10)) for i, c in enumerate(value[1:8]))
    control = -total % 10
    return value[8] in (str(control), "JABCDEFGHI"[control])


def sg_nric(value: str) -> bool:
    """Singapore NRIC and FIN."""
    value = value.upper()
    total = weighted(value[1:8], (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(value[0], 0)
    table = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "XWUTRQPNJLK"[::-1]}.get(value[0], "XWUTRQPNMLK")
    if value[0] == "M":
        return "KLJNPQRTUWX"[10 - total % 11] == value[8]
    return table[total % 11] == value[8]


def ie_pps(value: str) -> bool:
    """Irish PPS number: weights 8 to 2, a second letter counts nine times."""
    value = value.upper()
    second = ord(value[8]) - 64 if len(value) > 8 and value[8] != "W" else 0
    total = weighted(value[:7], (8, 7, 6, 5, 4, 3, 2)) + 9 * second
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == value[7]


def fi_hetu(value: str) -> bool:
    """Finnish code: date, century sign, number, check character mod 31."""
    number = int(value[:6] + value[7:10])
    return 1 <= int(value[2:4]) <= 12 and "0123456789ABCDEFHJKLMNPRSTUVWXY"[number % 31] == value[10].upper()


def de_rvnr(value: str) -> bool:
    """German pension insurance number: area, DDMMYY, letter, serial, check digit."""
    day, month = int(value[2:4]), int(value[4:6])
    digits = value[:8] + f"{ord(value[8].upper()) - 64:02d}" + value[9:11]
    total = sum(
        sum(divmod(int(c) * w, 10)) for c, w in zip(digits, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True)
    )
    return 1 <= month <= 12 and 1 <= day % 50 <= 31 and total % 10 == int(value[11])


def mx_curp(value: str) -> bool:
    """Mexican CURP: weights 18 to 2 over an alphabet with Ñ."""
    alphabet = "0123456789ABCDEFGHIJKLMN\xd1OPQRSTUVWXYZ"
    total = sum(alphabet.index(c) * (18 - i) for i, c in enumerate(value.upper()[:17]))
    return date6(value[4:10]) and str(-total % 10) == value[17]


def pl_dowod(value: str) -> bool:
    """Polish identity card: three letters, check digit, five digits."""
    value = bare(value).upper()
    total = sum((int(c, 36)) * w for c, w in zip(value, (7, 3, 1, 9, 7, 3, 1, 7, 3), strict=True))
    return total % 10 == 0


def us_mbi(value: str) -> bool:
    """American Medicare number: letters without S, L, O, I, B, Z in fixed places."""
    return re.fullmatch(r"[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d[AC-HJKMNP-RT-Y]{2}\d\d",
                        bare(value).upper()) is not None  # fmt: skip


def in_gstin(value: str) -> bool:
    """Indian GSTIN: state, PAN, entity, Z, check character mod 36."""
    total = 0
    for i, char in enumerate(value[:14].upper()):
        quotient, rest = divmod(int(char, 36) * (1 + i % 2), 36)
        total += quotient + rest
    return "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[-total % 36] == value[14].upper()


def hk_id(value: str) -> bool:
    """Hong Kong card: one or two letters, six digits, check character mod 11."""
    value = re.sub(r"[() ]", "", value).upper().rjust(9)
    total = sum((36 if c == " " else int(c, 36)) * (9 - i) for i, c in enumerate(value[:8]))
    return "0123456789A"[-total % 11] == value[8]


def tw_id(value: str) -> bool:
    """Taiwanese number: the letter stands for two digits."""
    code = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(value[0].upper()) + 10
    return (code // 10 + code % 10 * 9 + weighted(value[1:], (8, 7, 6, 5, 4, 3, 2, 1, 1))) % 10 == 0


def cl_rut(value: str) -> bool:
    """Chilean RUT: weights 2 to 7 from the right, K for 10."""
    body, control = bare(value)[:-1], value[-1].upper()
    total = sum(int(c) * (2 + i % 6) for i, c in enumerate(reversed(body)))
    return "0123456789K"[-total % 11] == control


def ch_uid(value: str) -> bool:
    """Swiss company number: weights 5 4 3 2 7 6 5 4 mod 11."""
    digits = "".join(filter(str.isdigit, value))
    return -weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4)) % 11 == int(digits[8])


def cn_ric_x(value: str) -> bool:
    """Chinese resident number that ends in X."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return weighted(value[:17], weights) % 11 == 2 and 1 <= int(value[10:12]) <= 12


def uk_nino(value: str) -> bool:
    """British insurance number: prefixes that are never used are refused."""
    value = bare(value).upper()
    return value[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ") and not one_digit_repeated(value[2:8])


def vat(value: str) -> bool:
    """European VAT numbers whose check digits are simple enough to hold here."""
    value = bare(value).upper()
    body = value[2:]
    if value.startswith("DE"):
        product = 10
        for char in body[:-1]:
            product = ((int(char) + product) % 10 or 10) * 2 % 11
        return body[0] != "0" and (11 - product) % 10 == int(body[-1])
    if value.startswith("AT"):
        total = sum(sum(divmod(int(c) * (1 + i % 2), 10)) for i, c in enumerate(body[1:8]))
        return (6 - total) % 10 == int(body[8])
    if value.startswith("FR"):
        return fr_siren(body[2:]) and (
            not body[:2].isdigit() or (12 + 3 * (int(body[2:]) % 97)) % 97 == int(body[:2])
        )
    if value.startswith("NL"):
        whole = int("".join([str(int(char, 36)) for char in value]))
        return whole % 97 == 1 or weighted(body[:9], (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0
    if value.startswith("BE"):
        return 97 - int(body[:8]) % 97 == int(body[8:])
    if value.startswith("PL"):
        return weighted(body, (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11 == int(body[9])
    if value.startswith("IT"):
        return it_iva(body)
    if value.startswith("PT"):
        return pt_nif(body)
    return es_cif(body) or (body[:-1].isdigit() and es_dni(body))


def not_a_run(value: str) -> bool:
    """Refuse 12345678 and 00000000."""
    digits = "".join(filter(str.isdigit, value))
    return len(set(digits)) > 1 and any(ord(b) - ord(a) != 1 for a, b in pairwise(digits))


_VAT = (r"DE[ ]?[0-9]{9}|DE[ ][0-9]{3}[ ][0-9]{3}[ ][0-9]{3}|ATU[ ]?[0-9]{8}|FR[ ]?[0-9A-Z]{2}[ ]?[0-9]{3}[ ]?[0-9]{3}[ ]?[0-9]{3}|"
        r"NL[0-9]{9}B[0-9]{2}|BE[ ]?[01][0-9]{3}[. ]?[0-9]{3}[. ]?[0-9]{3}|PL[ ]?[0-9]{10}|IT[ ]?[0-9]{11}|PT[ ]?[0-9]{9}|"
        r"ES[A-Z][0-9]{7}[0-9A-Z]")  # fmt: skip

SHAPES = (
    Shape("ids.it_cf", "NATIONAL_ID", r"[A-Z]{6}[0-9L-NP-V]{2}[A-EHLMPR-T][0-9L-NP-V]{2}[A-Z][0-9L-NP-V]{3}[A-Z]",
          check=it_codice_fiscale, doubt=True, unique=True, tags=_NAT + _TAX, caseless=True, gates=(r"[a-z]{6}[0-9l-v]{2}[a-z][0-9l-v]{2}[a-z]",)),
    Shape("ids.es_dni", "NATIONAL_ID", r"[0-9]{8}[ \-]?[A-Z]|[0-9]{2}\.[0-9]{3}\.[0-9]{3}-?[A-Z]|[XYZ][ \-]?[0-9]{7}[ \-]?[A-Z]",
          check=es_dni, tags=_NAT, caseless=True, vetoes=("order", "version", "licence", "account"),
          gates=(r"[0-9]{8}[ \-]?[a-z]", r"\.[0-9]{3}-?[a-z]", r"[xyz][ \-]?[0-9]{7}")),
    Shape("ids.es_cif", "TAX_ID", r"[ABCDEFGHJNPQRSUVW][ \-]?[0-9]{7}[ \-]?[0-9A-J]", check=es_cif, tags=_TAX, needs_words=True),
    Shape("ids.sg_nric", "NATIONAL_ID", r"[STFGM][0-9]{7}[A-Z]", check=sg_nric, doubt=True, tags=_NAT, caseless=True,
          gates=(r"[a-z][0-9]{7}[a-z]",)),
    Shape("ids.ie_pps", "NATIONAL_ID", r"[0-9]{7}[A-W][A-IW]?", check=ie_pps, doubt=True, tags=_NAT + _TAX, needs_words=True,
          caseless=True),
    Shape("ids.fi_hetu", "NATIONAL_ID", r"[0-3][0-9][01][0-9]{3}[-+A-FU-Y][0-9]{3}[0-9A-Y]", check=fi_hetu, tags=_NAT),
    Shape("ids.de_rvnr", "NATIONAL_ID", r"[0-9]{8}[ ]?[A-Z][ ]?[0-9]{3}", check=lambda v: de_rvnr(bare(v)), tags=_NAT, caseless=True),
    Shape("ids.mx_curp", "NATIONAL_ID", r"[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]", check=mx_curp, doubt=True, tags=_NAT),
    Shape("ids.mx_rfc", "TAX_ID", r"(?:\b[A-Z]|&)[A-Z&]{2,3}[ \-]?[0-9]{6}[ \-]?[0-9A-Z]{3}\b", tags=_TAX, needs_words=True,
          open_ended=True),
    Shape("ids.pl_dowod", "NATIONAL_ID", r"[A-Z]{3}[ \-]?[0-9]{6}", check=pl_dowod, doubt=True, tags=_NAT, needs_words=True),
    Shape("ids.us_mbi", "NATIONAL_ID",
          r"[1-9][A-Z][0-9A-Z][0-9]-?[A-Z][0-9A-Z][0-9]-?[A-Z]{2}[0-9]{2}", check=us_mbi, tags=_NAT, caseless=True,
          needs_words=False, vetoes=("order", "version")),
    Shape("ids.in_gstin", "TAX_ID", r"[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]", check=in_gstin, doubt=True, tags=_TAX),
    Shape("ids.in_pan", "TAX_ID", r"[A-Z]{3}[PCHABGJLFT][A-Z][0-9]{4}[A-Z]", tags=(*_TAX, "natid"), gates=(r"[a-z][0-9]{4}[a-z]",)),
    Shape("ids.in_pan_named", "TAX_ID", r"[A-Z]{5}[0-9]{4}[A-Z]", tags=_TAX, needs_words=True, caseless=True,
          gates=(r"[a-z][0-9]{4}[a-z]",)),
    Shape("ids.in_epic", "NATIONAL_ID", r"[A-Z]{3}[0-9]{7}|VOTER[0-9]{7,12}", tags=_NAT, needs_words=True, check=None),
    Shape("ids.hk_id", "NATIONAL_ID", r"[A-Z]{1,2}[0-9]{6}\([0-9A]\)", check=hk_id, tags=_NAT, open_ended=True),
    Shape("ids.tw_id", "NATIONAL_ID", r"[A-Z][1289][0-9]{8}", check=tw_id, tags=_NAT, needs_words=True),
    Shape("ids.cl_rut", "NATIONAL_ID", r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9Kk]", check=cl_rut, tags=_NAT),
    Shape("ids.cl_rut_plain", "NATIONAL_ID", r"[0-9]{7,8}-[0-9Kk]", check=cl_rut, tags=_NAT, needs_words=True),
    Shape("ids.cn_ric_x", "NATIONAL_ID", r"[1-6][0-9]{5}(?:19|20)[0-9]{9}[Xx]", check=cn_ric_x, tags=_NAT),
    Shape("ids.uk_nino", "NATIONAL_ID", r"[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z][ \-]?[0-9]{2}[ \-]?[0-9]{2}[ \-]?[0-9]{2}[ \-]?[A-D]",
          check=uk_nino, tags=_NAT, caseless=False),
    Shape("ids.it_card", "NATIONAL_ID", r"[A-Z]{2}[ ]?[0-9]{7}|[0-9]{7}[A-Z]{2}|[A-Z]{2}[0-9]{5}[A-Z]{2}", tags=_NAT, needs_words=True,
          caseless=True),
    Shape("ids.de_card", "NATIONAL_ID", r"[LMNPRTVWXY][0-9CFGHJKLMNPRTVWXYZ]{8}[0-9]?D?", tags=("natid",), needs_words=True,
          gates=("ausweis", "identity card", "id card")),
    Shape("ids.vat", "TAX_ID", _VAT, check=vat, doubt=True, tags=_TAX,
          gates=(r"\b(?:de|atu|fr|nl|be|pl|it|pt|es) ?[0-9a-z]{2} ?[0-9.]{3}",)),
    Shape("ids.vat_named", "TAX_ID", r"(?:GB|IE|DK|FI|SE|LU|HU|RO|CZ|SK|SI|HR|BG|GR|EL|CY|MT|LT|LV|EE)[ ]?[0-9A-Z]{7,12}", tags=_TAX,
          needs_words=True, gates=(r"\b[a-z]{2} ?[0-9a-z][0-9]{5}",)),
    Shape("ids.ch_uid", "TAX_ID", r"CHE[- ]?[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}", check=ch_uid, doubt=True, tags=_TAX),
    Shape("ids.tin_named", "TAX_ID", r"TIN[0-9X]{6,14}", tags=_TAX, needs_words=True, check=None),
)  # fmt: skip

PROBES: list[Probe] = [shape.probe() for shape in SHAPES]
