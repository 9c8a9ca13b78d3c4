"""National and tax numbers of Europe that are all digits. Each takes bare digits of the right length."""

from penstock.detect.checks import date6, day_month, digits_of, luhn, mod11_10, one_digit_repeated, weighted


def pl_pesel(text: str) -> bool:
    """Polish personal number: YYMMDD with the century in the month, 4 digits, check digit."""
    return date6(text, century_months=True) and weighted(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def pl_nip(text: str) -> bool:
    """Polish tax number."""
    return weighted(text, (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11 == int(text[9]) and not one_digit_repeated(text)


def pl_regon(text: str) -> bool:
    """Polish business number of nine digits."""
    return weighted(text, (8, 9, 2, 3, 4, 5, 6, 7)) % 11 % 10 == int(text[8])


def de_idnr(text: str) -> bool:
    """German tax id: one digit stands twice or three times in the first ten."""
    counts = sorted(text[:10].count(char) for char in set(text[:10]))
    return text[0] != "0" and counts[-1] in (2, 3) and counts.count(1) == len(counts) - 1 and mod11_10(text)


def nl_bsn(text: str) -> bool:
    """Dutch citizen number, the eleven test."""
    return weighted(text, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and not one_digit_repeated(text)


def be_nn(text: str) -> bool:
    """Belgian national number: 97 minus the first nine, with a 2 in front for births from 2000."""
    return int(text[2:4]) % 20 <= 12 and int(text[9:]) in (
        97 - int(text[:9]) % 97,
        97 - int("2" + text[:9]) % 97,
    )


def fr_nir(text: str) -> bool:
    """French social number of 15 digits with its key."""
    return text[0] in "123478" and 97 - int(text[:13]) % 97 == int(text[13:])


def fr_siren(text: str) -> bool:
    """French company number."""
    return luhn(text) and not one_digit_repeated(text)


def it_iva(text: str) -> bool:
    """Italian VAT number."""
    return luhn(text) and text[:7] != "0000000"


def pt_nif(text: str) -> bool:
    """Portuguese tax number."""
    check = -weighted(text, (9, 8, 7, 6, 5, 4, 3, 2)) % 11 % 10
    return text[0] != "0" and check == int(text[8])


def se_personnummer(text: str) -> bool:
    """Swedish personal number of ten digits; days from 61 are co-ordination numbers."""
    day = int(text[4:6])
    return 1 <= int(text[2:4]) <= 12 and 1 <= (day - 60 if day > 60 else day) <= 31 and luhn(text)


def se_personnummer_long(text: str) -> bool:
    """The same with the century in front."""
    return text[:2] in ("18", "19", "20") and se_personnummer(text[2:])


def no_fodselsnummer(text: str) -> bool:
    """Norwegian birth number: two check digits, weights mod 11."""
    return (
        day_month(text)
        and weighted(text, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
        and weighted(text, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    )


def ee_isikukood(text: str) -> bool:
    """Estonian and Lithuanian personal code."""
    check = weighted(text, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weighted(text, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return text[0] in "123456" and date6(text[1:7]) and check == int(text[10])


def lv_pk(text: str) -> bool:
    """Latvian personal code DDMMYY, century, check."""
    check = (1 + weighted(text, (10, 5, 8, 4, 2, 1, 6, 3, 7, 9))) % 11 % 10
    return text[:2] == "32" or (
        1 <= int(text[:2]) <= 31 and 1 <= int(text[2:4]) <= 12 and check == int(text[10])
    )


def cz_rc(text: str) -> bool:
    """Czech and Slovak birth number of ten digits: divisible by 11; women's months +50, overflow +20."""
    month = int(text[2:4]) % 50 % 20
    whole = int(text) % 11 == 0 or (int(text[:9]) % 11 == 10 and text[9] == "0")
    return 1 <= month <= 12 and 1 <= int(text[4:6]) <= 31 and whole


def ro_cnp(text: str) -> bool:
    """Romanian personal number."""
    check = weighted(text, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return text[0] in "123456789" and date6(text[1:7]) and (1 if check == 10 else check) == int(text[12])


def bg_egn(text: str) -> bool:
    """Bulgarian number; months +20 before 1900 and +40 from 2000."""
    return date6(text, century_months=True) and weighted(text, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(
        text[9]
    )


def hr_oib(text: str) -> bool:
    """Croatian personal number."""
    return mod11_10(text)


def si_emso(text: str) -> bool:
    """Slovenian EMŠO and the JMBG of its neighbours."""
    check = -weighted(text, (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (
        1 <= int(text[:2]) <= 31 and 1 <= int(text[2:4]) <= 12 and text[4] in "09" and check == int(text[12])
    )


def gr_amka(text: str) -> bool:
    """Greek social number DDMMYY + 5, Luhn."""
    return 1 <= int(text[:2]) <= 31 and 1 <= int(text[2:4]) <= 12 and luhn(text)


def tr_tckn(text: str) -> bool:
    """Turkish identity number."""
    d = digits_of(text)
    tenth = (7 * (d[0] + d[2] + d[4] + d[6] + d[8]) - (d[1] + d[3] + d[5] + d[7])) % 10
    return d[0] != 0 and d[9] == tenth and sum(d[:10]) % 10 == d[10]


def ch_ahv(text: str) -> bool:
    """Swiss social number: 756 and the EAN-13 check digit."""
    return text.startswith("756") and weighted(text, (1, 3) * 6 + (1,)) % 10 == 0


def at_svnr(text: str) -> bool:
    """Austrian insurance number: running number, check digit in the fourth place, DDMMYY."""
    return text[0] != "0" and weighted(text, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11 == int(text[3])


def uk_nhs(text: str) -> bool:
    """British NHS number."""
    return weighted(text, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0 and not one_digit_repeated(text)


def uk_utr(text: str) -> bool:
    """British unique taxpayer reference: the check digit stands first."""
    return "21987654321"[weighted(text[1:], (6, 7, 8, 9, 10, 5, 4, 3, 2)) % 11] == text[0]


def de_lanr(text: str) -> bool:
    """German physician number: check digit in the seventh place, weights 4 and 9."""
    return -weighted(text, (4, 9, 4, 9, 4, 9)) % 10 == int(text[6])


def ua_rnokpp(text: str) -> bool:
    """Ukrainian taxpayer number."""
    return weighted(text, (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10 == int(text[9])
