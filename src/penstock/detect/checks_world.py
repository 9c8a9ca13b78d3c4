"""National and tax numbers outside Europe that are all digits. Each takes bare digits of the right length."""

from penstock.detect.checks import date6, luhn, one_digit_repeated, verhoeff, weighted


def ca_sin(text: str) -> bool:
    """Canadian social insurance number: no 0 and no 8 in front (not issued)."""
    return text[0] not in "08" and luhn(text) and not one_digit_repeated(text)


def us_npi(text: str) -> bool:
    """American provider number: Luhn with 80840 in front."""
    return text[0] in "12" and luhn("80840" + text) and len(set(text[:-1])) > 1


def us_ssn(text: str) -> bool:
    """American social security number: the ranges that can be issued; it has no check digit."""
    return text[:3] not in ("000", "666") and text[0] != "9" and text[3:5] != "00" and text[5:] != "0000"


def us_itin(text: str) -> bool:
    """American individual taxpayer number: 9xx and groups 50-65, 70-88, 90-92, 94-99."""
    group = int(text[3:5])
    return text[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or group >= 94)


def us_aba(text: str) -> bool:
    """American routing number: weights 3, 7, 1."""
    return (
        int(text[:2]) in (*range(13), *range(21, 33), *range(61, 73), 80)
        and weighted(text, (3, 7, 1) * 3) % 10 == 0
    )


def au_medicare(text: str) -> bool:
    """Australian Medicare card: check digit in the ninth place."""
    return text[0] in "23456" and weighted(text, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(text[8])


def au_acn(text: str) -> bool:
    """Australian company number."""
    return -weighted(text, (8, 7, 6, 5, 4, 3, 2, 1)) % 10 == int(text[8])


def au_abn(text: str) -> bool:
    """Australian business number: mod 89 after taking 1 from the first digit."""
    return (weighted(text, (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)) - 10) % 89 == 0


def au_tfn(text: str) -> bool:
    """Australian tax file number."""
    return weighted(text, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0 and not one_digit_repeated(text)


def br_cpf(text: str) -> bool:
    """Brazilian personal number: two check digits."""
    first = -weighted(text, range(10, 1, -1)) % 11
    second = -weighted(text, range(11, 1, -1)) % 11
    return not one_digit_repeated(text) and text[9:] == f"{first % 10}{second % 10}"


def br_cnpj(text: str) -> bool:
    """Brazilian company number: two check digits."""
    first = -weighted(text, (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) % 11 % 10
    second = -weighted(text, (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) % 11 % 10
    return not one_digit_repeated(text) and text[12:] == f"{first}{second}"


def ar_cuit(text: str) -> bool:
    """Argentine tax number."""
    rest = weighted(text, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    known = text[:2] in ("20", "23", "24", "27", "30", "33", "34")
    return known and "09987654321"[rest] == text[10]


def in_aadhaar(text: str) -> bool:
    """Indian Aadhaar: no 0 or 1 in front, Verhoeff."""
    return text[0] > "1" and text != text[::-1] and verhoeff(text)


def kr_rrn(text: str) -> bool:
    """Korean resident number: YYMMDD, sex and century, region. The check digit ended in October 2020."""
    return date6(text) and text[6] in "1234" and int(text[7:9]) <= 96


def jp_my_number(text: str) -> bool:
    """Japanese individual number."""
    rest = weighted(text, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest <= 1 else 11 - rest) == int(text[11])


def cn_ric(text: str) -> bool:
    """Chinese resident number of 18 characters; the last may be X."""
    month, day = int(text[10:12]), int(text[12:14])
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    good_date = text[6:8] in ("18", "19", "20") and 1 <= month <= 12 and 1 <= day <= 31
    return good_date and "10X98765432"[weighted(text, weights) % 11] == text[17].upper()


def th_pin(text: str) -> bool:
    """Thai citizen number."""
    return text[0] not in "09" and (11 - weighted(text, range(13, 1, -1)) % 11) % 10 == int(text[12])


def za_id(text: str) -> bool:
    """South African number: YYMMDD, sequence, citizenship 0-2, an 8 or 9, Luhn."""
    leap = text[2:6] != "0229" or int(text[:2]) % 4 == 0
    return date6(text) and leap and text[10] in "012" and text[11] in "89" and luhn(text)


def il_id(text: str) -> bool:
    """Israeli identity number."""
    return luhn(text) and not one_digit_repeated(text)


def id_nik(text: str) -> bool:
    """Indonesian number: province, DDMMYY with women's days +40."""
    day = int(text[6:8])
    return (
        11 <= int(text[:2]) <= 96
        and 1 <= (day - 40 if day > 40 else day) <= 31
        and 1 <= int(text[8:10]) <= 12
    )


def my_nric(text: str) -> bool:
    """Malaysian number: YYMMDD and a known place of birth."""
    return date6(text) and text[6:8] not in ("00", "17", "18", "19", "20")
