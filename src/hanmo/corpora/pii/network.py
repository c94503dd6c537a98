"""E-mail addresses, URLs with secrets in them, and IP addresses.

All functions take folded text (`pii_spans.fold`). A host, a plain URL or a loopback address names nobody and is left.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from hanmo.corpora.pii.spans import Span, words_after, words_before

__all__ = ["find_emails", "find_ips", "find_urls"]

# -- e-mail

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN_END = r"(?![A-Za-z0-9]|-[A-Za-z0-9]|\.[A-Za-z0-9])"
_AT_DOMAIN = re.compile(rf"@(?:{_LABEL}\.){{1,8}}([A-Za-z]{{2,24}}){_DOMAIN_END}")
_DISGUISED = re.compile(
    rf"[\[({{] ?(?:at|AT) ?[\])}}] ?{_LABEL}(?:(?:\.| ?[\[({{] ?(?:dot|DOT) ?[\])}}] ?){_LABEL}){{0,7}}"
    rf"(?:\.| ?[\[({{] ?(?:dot|DOT) ?[\])}}] ?)([A-Za-z]{{2,24}}){_DOMAIN_END}"
)
_LOCAL = re.compile(r"(?<![A-Za-z0-9_@])[A-Za-z0-9_](?:[A-Za-z0-9._%+'-]{0,62}[A-Za-z0-9_+-])?\Z")
_LONGEST_LOCAL = 64
_REPOSITORY = "git"  # git@host:path is how everyone writes one
_TOP_LEVEL_NAMES = (
    "com net org edu gov mil int info biz name pro aero coop museum mobi jobs travel tel asia cat post xxx arpa "
    "example test invalid local localhost lan internal corp home localdomain intranet onion "
    "xyz top site online tech store club vip wang shop app dev page cloud live blog news email mail work world today ltd "
    "group company agency studio design digital media network systems solutions services support center team space "
    "website host link click win bid loan men party science review trade date stream download racing faith webcam cricket "
    "accountant icu cyou fun press life love ink red pub ren wiki art one plus run zone city town house land "
    "academy school college university education institute foundation church community social chat global international "
    "finance financial capital bank money fund credit insurance law legal lawyer consulting engineering technology software "
    "computer video photo photos photography gallery music film games game play sport fit health care clinic doctor dental "
    "hospital pharmacy restaurant cafe bar pizza food kitchen garden farm eco earth green energy solar build construction "
    "london paris berlin tokyo nyc amsterdam hamburg wien moscow sydney melbourne taipei google apple amazon microsoft"
)
_TOP_LEVEL = frozenset(_TOP_LEVEL_NAMES.split())
_NO_COUNTRY = frozenset({"js", "ts", "xx"})
_MAIL_WORD = re.compile(r"(?i)mail|邮[箱件]|郵[箱件]|信箱|contact|联系|聯絡")


def find_emails(text: str) -> Iterator[Span]:
    """E-mail addresses, also as `name [at] host [dot] com`.

    A domain needs a dot and an end that is a country or a known name; any other end is believed only next to a word such as
    "mail" or 邮箱. This tells addresses from code (`q@k.transpose`) and from names of files (`icon@2x.png`).
    """
    if "@" in text:
        yield from _emails_at(text, _AT_DOMAIN)
    if "at" in text or "AT" in text:
        yield from _emails_at(text, _DISGUISED)


def _emails_at(text: str, pattern: re.Pattern[str]) -> Iterator[Span]:
    for match in pattern.finditer(text):
        first = max(0, match.start() - _LONGEST_LOCAL - 2)
        local = _LOCAL.search(text[first : match.start()].removesuffix(" "))
        if local is None or local[0] == _REPOSITORY:
            continue
        start, end, name = first + local.start(), match.end(), match[1]
        if name.istitle() and not _is_top_level(name):  # the next sentence, without a space: a@b.com.Then
            end -= len(name) + 1
            name = text[match.start() + 1 : end].rpartition(".")[2]
        if _is_top_level(name) or (name.islower() and _MAIL_WORD.search(words_before(text, start))):
            yield Span(start, end, "email")


def _is_top_level(name: str) -> bool:
    if name.lower() in _TOP_LEVEL:
        return True
    # one case only: x@w.mT is a product of matrices
    return len(name) == 2 and name.isalpha() and (name.islower() or name.isupper()) and name.lower() not in _NO_COUNTRY


# -- URLs

_URL_CHARACTERS = r"[A-Za-z0-9\-._~:/?#\[\]@!$&()*+,;=%{}]+"
_URL = re.compile("://" + _URL_CHARACTERS)
_WWW = re.compile(r"www\." + _URL_CHARACTERS)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}\Z")
_PARAMETER = re.compile(r"[?&#;]([A-Za-z0-9_.\-\[\]%]{1,60})=([^&#;]*)")
_SECRET_NAME = re.compile(
    r"(?i)(?:.{0,30}[_.-])?(?:token|secret|password|passwd|passcode|pwd|api_?key|access_?key|private_?key|authkey|"
    r"authorization|bearer|jwt|credentials?|signature|session_?id|jsessionid|phpsessid|otp|accesstoken|"
    r"refreshtoken|idtoken|authtoken|usertoken|clientsecret|pass)"
)
_LIKELY_NAME = re.compile(r"(?i)(?:.{0,30}[_.-])?(?:key|code|sig|sign|sid|ticket|hmac|invite|verify|session|auth)")
_DUMMY = re.compile(r"(?i)(?:your|insert|change|example|x{3}|\*{2}|\.{3}|%7b|[{\[$|]).*|null|none|true|false")
_SECRET_PATH = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+|hooks\.slack\.com/services/[A-Z0-9]+/[A-Z0-9]+/\w{8,}"
    r"|api\.telegram\.org/bot[0-9]+:[\w-]{20,}|discord(?:app)?\.com/api/webhooks/[0-9]+/[\w-]{20,}"
)


def find_urls(text: str) -> Iterator[Span]:
    """What is secret in URLs: all after the `?` or `#` where a parameter is a token or password; else the whole URL.

    The whole of it goes where the secret is a password before the host or a part of the path.
    """
    for start, end in (*_with_scheme(text), *_without_scheme(text)):
        url = text[start:end].rstrip(".,;:!?{")
        if ")" in url and "(" not in url:
            url = url[: url.index(")")]
        end = start + len(url)
        if _has_password(url) or _SECRET_PATH.search(url):
            yield Span(start, end, "url")
            continue
        head = re.match(r"[^?#;]*", url)
        assert head is not None
        if any(_is_secret(*parameter) for parameter in _PARAMETER.findall(url[head.end() :])):
            yield Span(start + head.end() + 1, end, "url")


def _with_scheme(text: str) -> Iterator[tuple[int, int]]:
    for match in _URL.finditer(text):
        if scheme := _SCHEME.search(text[max(0, match.start() - 31) : match.start()]):
            yield match.start() - len(scheme[0]), match.end()


def _without_scheme(text: str) -> Iterator[tuple[int, int]]:
    for match in _WWW.finditer(text):
        before = text[max(0, match.start() - 1) : match.start()]
        if before != "/" and not (before.isascii() and before.isalnum()):
            yield match.span()


def _has_password(url: str) -> bool:
    authority = re.match(r"[^:]*://([^/?#]*)@", url)
    if authority is None:
        return False
    name, colon, password = authority[1].partition(":")
    if colon:
        return len(password) > 0 and not _DUMMY.fullmatch(password)
    return len(name) >= 20 and any(map(str.isdigit, name))


def _is_secret(name: str, value: str) -> bool:
    if _DUMMY.fullmatch(value):
        return False
    if _SECRET_NAME.fullmatch(name):
        return len(value) >= (4 if "pass" in name.lower() or "pwd" in name.lower() else 6)
    if _LIKELY_NAME.fullmatch(name):
        return len(value) >= 16 and any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    return False


# -- IP

_IPV4 = re.compile(
    r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}"
    r"(?![0-9A-Za-z_]|\.[0-9]|-[0-9]{1,3}(?![0-9.])|\.(?:tar|zip|exe|jar|whl|deb|rpm|msi|apk|dll)\b)"
)
_IPV4_HINT = re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_PART_BEFORE = re.compile(r"(?:[0-9A-Za-z_.$¥€£￥§]|[A-Za-z0-9_]/|[A-Za-z]-)\Z")
_VERSION_BEFORE = re.compile(
    r"(?i)(?:(?<![a-z])(?:version|ver|v|release|rel|build|firmware|driver|update|upgrade|sdk|api|section|sections|sec|chapter|"
    r"clause|article|item|figure|fig|table|appendix|part|oid|rfc|python|java|chrome|windows|android|ios|kernel|nginx)s?"
    r"|版本号?|固件|驱动|升级[到至为]?|更新[到至为]?|更新[:：]|版|第|见|节|条|章|款|编号|标准)"
    r"(?: (?:no|number|to))?[.:：=#\s是为]{0,3}\Z"
)
_VERSION_AFTER = re.compile(
    r"(?i)\s?(?:[节節条條章款]|版|\(?(?:beta|alpha|release|version|rc[0-9]|build|stable|lts)\b)"
)
_HEADING = re.compile(r" ?[A-Za-z\u4e00-\u9fff]")
_RANGE = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}-\Z")
_ADDRESS_WORD = re.compile(r"(?i)(?<![a-z])ip|地址|服务器|主机|网关|dns|host|server|ping|client|login|://")
_IPV6_HINT = re.compile(r"[23Ff][0-9A-Fa-f]{3}:[0-9A-Fa-f]{0,4}:")
_IPV6 = re.compile(
    r"[23Ff](?<![0-9A-Za-z_.].)[0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\.[0-9]{1,3}){3})?(?![0-9A-Za-z_])"
)
_GROUP_AFTER = re.compile(r":[0-9A-Fa-f:<\0]")
_GROUP_BEFORE = re.compile(r"(?:(?<![0-9A-Za-z_])[0-9A-Fa-f]{1,4}|:):\Z")


def find_ips(text: str) -> Iterator[Span]:
    """IPv4 and IPv6 addresses of machines, private networks included.

    Loopback, unspecified, multicast, broadcast addresses and masks belong to nobody. Four numbers with dots are a version
    or a heading after words such as "version", 版本, 第 or `Chrome/`, before 节, and where they are small and no word says "IP".
    """
    if _IPV4_HINT.search(text):
        yield from _find_ipv4(text)
    if _IPV6_HINT.search(text):
        yield from _find_ipv6(text)


def _find_ipv4(text: str) -> Iterator[Span]:
    for match in _IPV4.finditer(text):
        start, end = match.span()
        octets = match[0].split(".")
        parts = [int(octet) for octet in octets]
        if max(parts) > 255 or any(octet[0] == "0" and len(octet) > 1 for octet in octets):
            continue
        if parts[0] in (0, 127) or parts[0] >= 224 or _PART_BEFORE.search(text, max(0, start - 2), start):
            continue
        if text[start - 1 : start] == "-" and not _RANGE.search(text, max(0, start - 17), start):
            continue  # a shape in SVG: 2.4-2.7.5.5
        before = words_before(text, start)
        if _VERSION_BEFORE.search(before) or _VERSION_AFTER.match(words_after(text, end)):
            continue
        is_heading = text[start - 1 : start] in ("", "\n") and max(parts) <= 30 and _HEADING.match(text, end)
        if (is_heading or max(parts) < 10) and min(parts) > 0 and not _ADDRESS_WORD.search(before):
            continue
        yield Span(start, end, "ip")


def _find_ipv6(text: str) -> Iterator[Span]:
    for match in _IPV6.finditer(text):
        start, end = match.span()
        if text[end - 1] == ":" and text[end - 2] != ":":
            end -= 1  # "at 2001:db8::1: ..."
        if _GROUP_AFTER.match(text, end) or _GROUP_BEFORE.search(text, max(0, start - 6), start):
            continue
        try:
            address = ipaddress.IPv6Address(text[start:end])
        except ValueError:
            continue
        # face::b00c and dead::beef are names in code; an address in use is global, local to a link, or unique local
        if int(address) >> 125 == 1 or address.is_link_local or int(address) >> 121 == 0xFC >> 1:
            yield Span(start, end, "ip")
