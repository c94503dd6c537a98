"""Numbers of persons: resident IDs, bank cards, telephones, passports and number plates.

All functions take folded text (`pii_spans.fold`). A number must look right by its checksum, its date, its prefix or its
grouping; where any number would look right, a word beside it must say what it is (电话, 护照, "call").
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from hanmo.corpora.pii.checksums import luhn_holds, resident_id_holds
from hanmo.corpora.pii.spans import Span, words_after, words_before

__all__ = ["find_bank_cards", "find_passports", "find_phones", "find_plates", "find_resident_ids"]

_FROM = r"(?<![A-Za-z0-9+])(?<![0-9][.,-])"  # not within a word or a longer number
_TO = r"(?![A-Za-z0-9])(?![.,-][0-9])"
_REGION = re.compile(r"[0-9](?:[ ()（）.-]{0,3}[0-9]){6,}")
_MARGIN = 12
"""Characters around the digits that belong to them: `+`, brackets, an extension."""


@functools.lru_cache(maxsize=1)  # every detector of numbers asks for those of the same text
def _regions(text: str) -> list[tuple[int, int]]:
    return [region.span() for region in _REGION.finditer(text)]


def _candidates(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Matches of a pattern where digits stand close enough together; quick over text with few digits."""
    done = 0
    for start, end in _regions(text):
        for match in pattern.finditer(text, max(done, start - _MARGIN), min(len(text), end + _MARGIN)):
            done = match.end()
            yield match
        done = max(done, end)


def _digits(number: str) -> str:
    return "".join(filter(str.isdigit, number))


_REFERENCE = re.compile(
    r"(?i)(?:订单编?号?|訂單編?號?|[单單工][号號]|运单|快递单?|流水号?|编号|編號|序列号?|批[号次]|条码|货号|型号|商品|案号|文号|股票|代码"
    r"|(?<![a-z])(?:tracking|order|invoice|serial|reference|ref|ticket|case|sku|isbn|issn|imei|imsi|doi|arxiv|pmid|part|batch"
    r"|transaction|txn|barcode|timestamp|parcel|model|item))"
    r"(?:[号號]码?| ?(?:no|number|num|id|code)\b)?(?:[号號]?[是为為]| is| was)?[.:：=#\s]{0,3}\Z"
)
_AMOUNT_BEFORE = re.compile(r"(?i)(?:[$¥€£￥]|rmb|usd|cny|人民币|金额|合计|共计)\s?\Z")
_AMOUNT_AFTER = re.compile(
    r"\s?(?:[元亿億%‰]|万(?!一)|美元|欧元|港币|人民币|(?i:usd|rmb|cny|eur|dollars|yuan|bytes|ms)\b)"
)

_FILE_END = re.compile(r"[)\]]?\.(?:jpe?g|png|gif|webp|mp[34]|pdf|html?|zip)(?![A-Za-z0-9])")


def _is_other_number(text: str, start: int, end: int) -> bool:
    """Whether what stands around a number says that it is a reference, an amount or the name of a file."""
    before = words_before(text, start)
    after = words_after(text, end)
    return bool(
        _REFERENCE.search(before)
        or _AMOUNT_BEFORE.search(before)
        or _AMOUNT_AFTER.match(after)
        or _FILE_END.match(after)
    )


_TELLING_PARAMETER = re.compile(r"(?i)[?&;#][a-z_]{0,12}(?:phone|mobile|tel|cell|call|card|whatsapp)[a-z_]{0,8}=\Z")


def _is_in_url(text: str, start: int) -> bool:
    """Whether a number is a part of a URL, where pages and goods are numbered, and no parameter names it."""
    near = text[max(0, start - 200) : start]
    at = near.rfind("://")
    if at < 0 or not re.fullmatch(r"[!-;=?-~]*", near[at:]):
        return False
    return not (_TELLING_PARAMETER.search(near) or near.endswith("wa.me/"))


# -- resident IDs

_RESIDENT_ID = re.compile(rf"{_FROM}[1-9][0-9]{{5}}[ -]?(?:18|19|20)[0-9]{{6}}[ -]?[0-9]{{3}}[0-9Xx]{_TO}")
_OLD_RESIDENT_ID = re.compile(rf"{_FROM}[1-9][0-9]{{14}}{_TO}")
_ID_WORD = re.compile(r"(?i)身份|身分|证件|證件|公民|(?<![a-z])(?:id|identity)(?![a-z])")


def find_resident_ids(text: str) -> Iterator[Span]:
    """Resident identity numbers: 18 characters by their checksum; the old 15 digits only beside a word such as 身份证."""
    for match in _candidates(_RESIDENT_ID, text):
        if resident_id_holds(match[0].replace(" ", "").replace("-", "")):
            yield Span(*match.span(), "cn-id")
    for match in _candidates(_OLD_RESIDENT_ID, text):
        if resident_id_holds(match[0]) and _ID_WORD.search(words_before(text, match.start())):
            yield Span(*match.span(), "cn-id")


# -- bank cards

_CARD = re.compile(
    rf"{_FROM}(?:[0-9]{{4}}(?P<gap>[ -]?)[0-9]{{4}}(?P=gap)[0-9]{{4}}(?P=gap)[0-9]{{2,4}}(?:(?P=gap)[0-9]{{1,3}})?"
    rf"|[0-9]{{4}}[ -][0-9]{{6}}[ -][0-9]{{4,5}}|[0-9]{{6}}[ -][0-9]{{10,13}}){_TO}"
)
_FOUR_GROUPS = re.compile(r"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?![0-9])")
_CARD_WORD = re.compile(
    r"(?i)卡|银行|銀行|银联|账[号户]|帐[号户]|賬[號戶]|(?<![a-z])(?:card|visa|mastercard|amex|account|acct|debit|credit)"
)
_NETWORKS = (  # prefix, lengths: ISO/IEC 7812 ranges of the networks
    (re.compile(r"62"), range(16, 20)),  # UnionPay
    (re.compile(r"4"), (16,)),  # Visa
    (re.compile(r"5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)"), (16,)),  # Mastercard
    (re.compile(r"3[47]"), (15,)),  # American Express
    (re.compile(r"6011|64[4-9]|65"), range(16, 20)),  # Discover
    (re.compile(r"35(?:2[89]|[3-8])"), range(16, 20)),  # JCB
    (re.compile(r"9558"), (19,)),  # ICBC, before UnionPay
)
_NAMED_LENGTHS = (14, 15, 16, 17, 18, 19)


def find_bank_cards(text: str) -> Iterator[Span]:
    """Numbers of payment cards: the check digit holds, and prefix and length are those of a network.

    After a word such as 银行卡 or "card" any prefix will do.
    """
    for match in _candidates(_CARD, text):
        whole = match.span()
        four = _FOUR_GROUPS.match(text, *whole)
        for start, end in (whole, four.span()) if four and four.span() != whole else (whole,):
            if _is_card(text, start, end):
                yield Span(start, end, "bank-card")
                break


def _is_card(text: str, start: int, end: int) -> bool:
    digits = _digits(text[start:end])
    if not luhn_holds(digits) or len(set(digits)) < 3 or _is_other_number(text, start, end) or _is_in_url(text, start):
        return False
    if len(digits) in _NAMED_LENGTHS and _CARD_WORD.search(words_before(text, start)):
        return True
    return any(len(digits) in lengths and prefix.match(digits) for prefix, lengths in _NETWORKS)


# -- telephones

_EXTENSION = r"(?: ?(?:转|轉|分机|,? ?(?:ext|Ext|EXT|extension|x)\.?) ?[0-9]{1,6}|-[0-9]{1,6})?"
_MOBILE = re.compile(
    rf"{_FROM}(?:(?:\+|00)?86[ -]?|[(（](?:\+|00)?86[)）][ -]?)?1[3-9][0-9](?P<gap>[ .-]?)[0-9]{{4}}(?:(?P=gap)|[ -]?)[0-9]{{4}}{_TO}"
)
_MOBILE_IN_FIVES = re.compile(
    rf"{_FROM}(?:(?:\+|00)?86[ -]?)?1[3-9][0-9](?P<gap>[ -])[0-9]{{3}}(?P=gap)[0-9]{{5}}{_TO}"
)
_LANDLINE = re.compile(
    rf"{_FROM}(?:(?:\+|00)?86[ -]?)?(?:[(（]0(?:10|2[0-9]|[3-9][0-9]{{2}})[)）][ -]{{0,2}}|0(?:10|2[0-9]|[3-9][0-9]{{2}})[ -]{{0,2}})"
    rf"[2-9][0-9]{{2,3}}[ -]?[0-9]{{4}}{_EXTENSION}{_TO}"
)
_SERVICE = re.compile(rf"{_FROM}[48]00(?P<gap>[ -])(?:[0-9]{{3}}(?P=gap)?[0-9]{{4}}|[0-9]{{4}}(?P=gap)[0-9]{{3}}){_TO}")
_AMERICAN = re.compile(
    rf"{_FROM}(?:\+?1[ .-]?)?(?:\([2-9][0-9]{{2}}\)[ -]?|[2-9][0-9]{{2}}(?P<gap>[ .-]?))[2-9][0-9]{{2}}[ .-]?[0-9]{{4}}"
    rf"{_EXTENSION}{_TO}"
)
_INTERNATIONAL = re.compile(
    rf"(?<![A-Za-z0-9+)\]])(?:\+|00)[1-9][0-9]{{0,2}}(?:[ .-]?\([0-9]{{1,5}}\))?(?:[ .-]?[0-9]){{5,13}}{_EXTENSION}"
    r"(?![A-Za-z0-9])(?!\.[0-9])"
)
_LOCAL = re.compile(rf"{_FROM}[2-8][0-9]{{2,3}}[ -]?[0-9]{{4}}{_TO}")
_PHONE_WORD = re.compile(
    r"(?i)电话|電話|手机|手機|致电|拨打|撥打|来电|联系|聯[系絡繫]|热线|熱線|座机|传真|傳真|客服|打给|短信|号码是?[:：]?\Z"
    r"|(?<![a-z])(?:tel|telephone|phone|mobile|cell|cellphone|call|calling|fax|dial|ring|text|whatsapp|sms|hotline|contact|reach)"
    r"(?:ed|s)?(?![a-z])"
)
_PHONE_LABEL = re.compile(
    r"(?i)(?:电话|電話|座机|传真|傳真|热线|熱線|(?<![a-z])(?:tel|telephone|phone|fax))(?:号码?|號碼?| ?(?:no|number))?"
    r"(?:是|为|為| is)?[.:：\s]{0,3}\Z"
)
_COUNTRY_CODES = (
    "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 "
    "92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237 238 239 240 "
    "241 242 243 244 245 246 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 269 290 291 297 "
    "298 299 350 351 352 353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 380 381 382 383 385 386 387 389 420 "
    "421 423 500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 676 677 678 "
    "679 680 681 682 683 685 686 687 688 689 690 691 692 800 808 850 852 853 855 856 870 878 880 881 882 883 886 888 960 961 "
    "962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 979 992 993 994 995 996 998"
)
_COUNTRIES = frozenset(_COUNTRY_CODES.split())  # ITU-T E.164


def find_phones(text: str) -> Iterator[Span]:
    """Telephone numbers: Chinese mobile and landline, North American, and international ones with `+` or `00`.

    Numbers without any grouping of their own (ten digits, seven or eight digits, `00…`) need a word such as 电话 or "call".
    """
    for pattern, needs in (
        (_MOBILE, None),
        (_MOBILE_IN_FIVES, lambda number: True),
        (_LANDLINE, lambda number: not re.search(r"[ )）-]", number)),
        (_SERVICE, None),
        (_AMERICAN, lambda number: not re.search(r"\(|[0-9][.-][0-9]{3}[.-]|\+1", number)),
        (_INTERNATIONAL, lambda number: number.startswith("00")),
    ):
        for match in _candidates(pattern, text):
            start, end = match.span()
            if pattern is _INTERNATIONAL:
                end = start + _international_length(match[0])
            if end == start:
                continue
            if needs is not None and needs(match[0]) and not _is_called_phone(text, start):
                continue
            if not _is_other_number(text, start, end) and not _is_in_url(text, start):
                yield Span(start, end, "phone")
    for match in _candidates(_LOCAL, text):
        if _PHONE_LABEL.search(words_before(text, match.start())):
            yield Span(*match.span(), "phone")


def _is_called_phone(text: str, start: int) -> bool:
    """Whether the words before say so; what a dash joins to a word is no number (`.cell-label.jsx-2117794680`)."""
    return text[start - 1 : start] not in ("-", "_") and bool(_PHONE_WORD.search(words_before(text, start)))


_DIGITS_AND_GAPS = re.compile(r"[0-9 ().+-]*")


def _international_length(number: str) -> int:
    """Characters of `number` that are an international number; 0 if none are. What follows it may be another number."""
    ends = [len(number), *reversed([gap.start() for gap in re.finditer(r"[ .-]+", number)])]
    for end in ends:
        main = _DIGITS_AND_GAPS.match(number, 0, end)
        assert main is not None
        digits = _digits(main[0]).removeprefix("00")
        if digits.startswith("1"):
            holds = len(digits) == 11
        elif digits.startswith("861"):
            holds = len(digits) == 13
        else:
            holds = 9 <= len(digits) <= 13 and any(digits[:length] in _COUNTRIES for length in (1, 2, 3))
        if holds:
            return end
    return 0


# -- passports

_PASSPORT_WORD = re.compile(r"(?i)护照|護照|通行证|通行證|passport|travel document")
_PASSPORT_HINTS = ("护照", "護照", "通行证", "通行證", "assport", "ASSPORT", "ravel document", "RAVEL DOCUMENT")
_PASSPORT = re.compile(
    r"(?<![A-Za-z0-9])(?=[A-Za-z0-9 ]{7,10}(?![A-Za-z0-9]))(?:[A-Za-z]{1,2} [0-9]{6,8}|[A-Za-z0-9]{7,9})(?![A-Za-z0-9]|[.,-][0-9])"
)
_FEWEST_DIGITS = 5


def find_passports(text: str) -> Iterator[Span]:
    """Numbers of passports and travel permits, in the sentence of a word such as 护照 or "passport"."""
    places = sorted(word.start() for hint in _PASSPORT_HINTS if hint in text for word in re.finditer(hint, text))
    done = 0
    for place in places:
        for match in _PASSPORT.finditer(text, max(done, place - 30), min(len(text), place + 64)):
            done = match.end()
            if len(_digits(match[0])) < _FEWEST_DIGITS:
                continue
            near = words_before(text, match.start(), 32) + "\n" + words_after(text, match.end(), 16)
            if _PASSPORT_WORD.search(near):
                yield Span(*match.span(), "passport")


# -- number plates

_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼滬雲遼魯蘇贛晉陝閩貴粵寧瓊]"
    r"[A-HJ-Za-hj-z](?:(?P<gap>[ ·•・.-]?)(?:[A-HJ-NP-Za-hj-np-z0-9]{5}|[0-9]{4}[警学挂港澳]"
    r"|[A-HJKa-hjk][A-HJ-NP-Za-hj-np-z0-9][0-9]{4}|[0-9]{5}[A-HJKa-hjk]))(?![A-Za-z0-9]|[.-][0-9])"
)
_MOST_LETTERS = 2
"""Of the five or six characters after the letter of the city."""


def find_plates(text: str) -> Iterator[Span]:
    """Number plates of China: province, city, five characters, or six of new-energy vehicles (GA 36-2018)."""
    for match in _PLATE.finditer(text):
        serial = match[0][2:]
        if sum(char.isascii() and char.isalpha() for char in serial) <= _MOST_LETTERS:
            yield Span(*match.span(), "plate")
