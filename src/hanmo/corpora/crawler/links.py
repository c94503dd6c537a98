"""Addresses as one writes them and as they are compared; the links of a page and what its author asks of robots."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from hanmo.core.errors import FormatError, MissingExtraError
from hanmo.corpora.sources.html_pages import decode_page

__all__ = ["Page", "alike", "is_loop", "is_page_link", "is_reserved", "normalise", "read_page"]

_NO_PAGE = re.compile(
    r"\.(?:7z|apk|avi|bin|bmp|bz2|css|csv|dmg|docx?|eot|epub|exe|flac|flv|gif|gz|ico|iso|jar|jpe?g|js|json|m4[av]|mkv|mov"
    r"|mp[34]|mpe?g|msi|og[gv]|otf|pdf|png|pptx?|rar|rpm|rss|svg|swf|tar|tgz|tiff?|ttf|wav|web[mp]|wm[av]|woff2?|xlsx?|xml"
    r"|xz|zip|zst)",
    re.IGNORECASE,
)
"""Endings of pictures, archives and the like."""
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH_SAFE, _QUERY_SAFE = "/%:@!$&'()*+,;=~[]|", "/%:@!$&'()*+,;=~?[]|"
_REFUSALS = frozenset({"noindex", "none", "noai"})
_MAX_LINKS = 10_000
"""Different links of a page that are looked at."""
_MAX_CHARS = 2_000
"""Longest link that is looked at."""


def normalise(link: str, base: str = "", encoding: str = "utf-8") -> str | None:
    """The one form of an address (RFC 3986, §6.2.2): host in lower case and ASCII, dot segments resolved, escapes in
    upper case and only where they are needed, no default port, no fragment.

    Args:
        link: as it stands in a page; Chinese and relative ones too.
        base: address that it is relative to.
        encoding: of the page; browsers escape queries, not paths, in it.

    Returns:
        None for what is no address of a page (`mailto:`, `javascript:`, a broken one).
    """
    link = re.sub(r"[\t\n\r]", "", link.strip("".join(map(chr, range(33)))))
    try:
        if re.match(r"(?:https?:)?[/\\]", base and link, re.IGNORECASE) or re.match(r"https?:", link, re.IGNORECASE):
            head, mark, query = link.partition("?")
            link = head.replace("\\", "/") + mark + query
        parts = urlsplit(urljoin(base, link))
        if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
            return None
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
        host = host.rstrip(".") if host.isascii() else host.encode("idna").decode("ascii").rstrip(".")
    except (ValueError, UnicodeError):
        return None
    netloc = f"[{host}]" if ":" in host else host.lower()
    if port is not None and port != {"http": 80, "https": 443}[scheme]:
        netloc += f":{port}"
    if "@" in parts.netloc:  # kept, to be refused with its reason
        netloc = "user@" + netloc
    path = _escape(parts.path, "utf-8", _PATH_SAFE) or "/"
    # urljoin resolves dots in relative links only
    path = urlsplit(urljoin("http://x/", path if path.startswith("/") else "/" + path)).path if "/." in path else path
    return urlunsplit((scheme, netloc, path, _escape(parts.query, encoding, _QUERY_SAFE), ""))


def _escape(text: str, encoding: str, safe: str) -> str:
    text = _STRAY_PERCENT.sub("%25", text)
    # as browsers do: a character that the encoding does not have is written as &#NUMBER;, and that is escaped
    text = _NOT_ASCII.sub(lambda run: quote(run[0].encode(encoding, "xmlcharrefreplace"), safe=""), text)
    text = quote(text, safe=safe)
    return _ESCAPE.sub(_tidy_escape, text)


def _tidy_escape(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def is_page_link(url: str) -> bool:
    """Whether the ending of an address does not say that it is a picture, an archive or the like."""
    path = urlsplit(url).path
    return not _NO_PAGE.fullmatch(path, max(path.rfind("."), 0))


def alike(url: str) -> str:
    """What addresses have in common that a program made: digits are 0, values of a query are left out."""
    parts = urlsplit(url)
    names = "&".join(sorted({pair.partition("=")[0] for pair in parts.query.split("&")}))
    return re.sub(r"[0-9]+", "0", f"{parts.netloc}{parts.path}?{names}")


def is_loop(url: str) -> bool:
    """Whether a path goes in circles (/a/b/a/b/a/b/a): the same name more than three times."""
    names = [name for name in urlsplit(url).path.split("/") if name]
    return len(names) > 30 or any(names.count(name) > 3 for name in set(names))


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says to a crawler."""

    links: tuple[str, ...]
    """Normalised, each once, in order; none of a page that says nofollow."""
    is_refused: bool
    """Whether it asks not to be kept: noindex, noai, or a reservation of text and data mining."""


def read_page(data: bytes, url: str, charset: str | None, robots: Iterable[str] = ()) -> Page:
    """Read the links of an HTML page, whatever its encoding.

    Args:
        data: its bytes.
        url: where it was found.
        charset: as its HTTP header says.
        robots: values of its `X-Robots-Tag` headers.

    Raises:
        FormatError: if it is binary or in no supported encoding.
        MissingExtraError: if lxml, which trafilatura brings, is not installed.
    """
    try:
        from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]
    except ImportError as error:
        raise MissingExtraError("lxml", "corpus", "reading the links of pages") from error
    decoded = decode_page(data, charset)
    words = _directives(robots)
    # surrogates cannot be encoded; a parser that recovers from anything reads the rest
    parser: Any = etree.HTMLParser(
        encoding="utf-8", recover=True, no_network=True, huge_tree=False, remove_comments=True
    )
    try:
        root = etree.fromstring(decoded.text.encode("utf-8", "replace"), parser)
    except (etree.LxmlError, ValueError) as error:
        raise FormatError("page without readable HTML") from error
    if root is None:
        return Page((), bool(words & _REFUSALS))
    base, met = url, set[str]()
    found: dict[str, None] = {}
    for element in root.iter("base", "meta", "a", "area", "frame", "iframe"):
        if element.tag == "meta":
            name, content = (element.get("name") or "").strip().lower(), element.get("content") or ""
            if name in ("robots", "hanmo"):
                words |= _directives([content])
            elif name == "tdm-reservation" and content.strip() == "1":
                words.add("noai")
        elif element.tag == "base":
            base = normalise((element.get("href") or "")[:_MAX_CHARS], url) or base
        elif len(met) < _MAX_LINKS and "nofollow" not in (element.get("rel") or "").lower().split():
            link = element.get("src" if element.tag in ("frame", "iframe") else "href")
            if not link or link in met:
                continue
            met.add(link)
            address = normalise(link, base, decoded.encoding) if len(link) <= _MAX_CHARS else None
            if address:
                found[address] = None
    follow = not words & {"nofollow", "none"}
    return Page(tuple(found) if follow else (), bool(words & _REFUSALS))


def is_reserved(robots: Iterable[str], reservation: str | None) -> bool:
    """Whether the headers of an answer ask not to keep it (`X-Robots-Tag`, `tdm-reservation`)."""
    return bool(_directives(robots) & _REFUSALS) or (reservation or "").strip() == "1"


def _directives(values: Iterable[str]) -> set[str]:
    """The words of robots directives that are meant for all robots or for this one."""
    words: set[str] = set()
    for value in values:
        agent, colon, rest = value.partition(":")
        if colon and re.fullmatch(r"[\w-]+", agent.strip()) and agent.strip().lower() not in _WITH_VALUE:
            if agent.strip().lower() != "hanmo":
                continue
            value = rest
        words |= {word.strip().lower() for word in value.split(",")}
    return words


_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
"""Directives with a colon of their own, which names no robot."""
