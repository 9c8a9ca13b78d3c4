"""Postal addresses: a house number with a street's word, post boxes, military mail."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

from dataclasses import replace

from penstock.detect.probe import Shape

_WORD = r"[0-9A-Z\xa4\xc0-\xde\xff][\w'.\-\xc0-\xff]*"
_KIND = (
    r"(?:Street|St\.?|Avenue|Ave\.?|Road|Rd\.?|Boulevard|Blvd\.?|Drive|Dr\.?|Lane|Ln\.?|Court|Ct\.?|Place|Pl\.?|Square|Sq\.?|"
    r"Terrace|Parkway|Pkwy\.?|Highway|Hwy\.?|Circle|Cir\.?|Way|Crescent|Alley|Trail|Close|Gardens|Mews|Row|Quay|Loop|Plaza)"
)
_UNIT = r"(?:,?[ \n]{1,2}(?:Suite|Apt\.?|Apartment|Unit|Floor|Fl\.?|#)[ ]?[0-9A-Z\-]{1,6})?"
_CITY = r"(?:,?[ \n]{1,3}[A-Z\xc0-\xde][\w'.\-\xc0-\xff]*(?:[ ][A-Z\xc0-\xde][\w'.\-\xc0-\xff]*){0,2}\s{0,2},\s{0,2}[A-Z]{2}\s{1,3}[0-9]{5}(?:-[0-9]{4})?)?"

_SHAPES = (
    Shape("address.street", "ADDRESS",
          rf"[0-9]{{1,6}}[A-Z]?(?:[ ][NSEW]\.?)?(?:[ ]{_WORD}){{1,4}}[ ]{_KIND}(?:[ ](?:NW|NE|SW|SE|N|S|E|W)\b)?{_UNIT}{_CITY}",
          gates=(r"\b(?:street|st|avenue|ave|road|rd|boulevard|blvd|drive|dr|lane|ln|court|ct|place|pl|square|sq|terrace|parkway|pkwy|"
                 r"highway|hwy|circle|cir|way|crescent|alley|trail|close|gardens|mews|row|quay|loop|plaza)\b",)),
    Shape("address.german", "ADDRESS",
          r"[A-Z\xc4\xd6\xdc][\w\xc0-\xff\-]*(?:stra(?:\xdf|ss)e|str\.|weg|platz|allee|gasse)[ ][0-9]{1,4}[ ]?[a-z]?"
          r"(?:,?[ \n][0-9]{5}[ ][A-Z\xc4\xd6\xdc][\w\xc0-\xff\-]+)?|[A-Z\xc0-\xde][\w\xc0-\xff\-]+ (?:Stra(?:\xdf|ss)e|Allee|Weg|Platz)[ ][0-9]{1,4}",
          gates=(r"str(?:a(?:\xdf|ss)e|\.)\s?[0-9]", r"(?:weg|platz|allee|gasse) [0-9]")),
    Shape("address.french", "ADDRESS",
          r"[0-9]{1,4}(?: bis| ter)?,? (?:rue|avenue|boulevard|place|chemin|impasse|quai|all\xe9e|cours|via|calle|rua)(?:[ ][\w'.\-\xc0-\xff]+){1,5}",
          gates=(r"[0-9],? (?:bis |ter )?(?:rue|avenue|boulevard|place|chemin|impasse|quai|all.e|cours|calle|rua) ",), caseless=True,
          tags=("address",)),
    Shape("address.polish", "ADDRESS",
          r"(?:ul|al|os|pl)\. ?[A-Z\xc0-\xff][\w\xc0-\xff.\-]*(?:[ ][A-Z\xc0-\xff][\w\xc0-\xff.\-]*){0,3} [0-9]{1,4}[a-zA-Z]?(?:/[0-9]{1,4})?",
          gates=(r"\b(?:ul|al|os|pl)\. ?\S{1,60} [0-9]", r"\b(?:ul|al|os|pl)\. ?\S{1,30} \S{1,30} [0-9]")),
    Shape("address.military", "ADDRESS",
          r"(?:PSC [0-9]{3,5},? Box [0-9]{2,5}|Unit [0-9]{3,5},? Box [0-9]{2,5}|USNS? \w+|USCGC \w+|USS \w+)\s{1,3}(?:APO|DPO|FPO),? (?:AA|AE|AP) [0-9]{5}",
          gates=(r"\b(?:apo|dpo|fpo),? a[aep] ",), caseless=True),
    Shape("address.box", "ADDRESS", r"P\.? ?O\.? Box [0-9]{1,6}|Postfach [0-9 ]{3,9}[0-9]", gates=(r"o\.? box [0-9]", "postfach [0-9]"),
          caseless=True),
)  # fmt: skip

# A street may end with a dot.
PROBES = [replace(shape, open_ended=True).probe() for shape in _SHAPES]
