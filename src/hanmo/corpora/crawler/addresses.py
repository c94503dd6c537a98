"""Which hosts may be asked: none in private networks, whatever name, number or redirect leads there."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from hanmo.core.errors import DataError

__all__ = ["RefusedError", "Resolve", "Target", "check_target", "is_public", "resolve_host"]

Resolve = Callable[[str, int], list[str]]
"""(host, port) → its addresses; raises `OSError` where there are none."""

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)")
"""What the resolver reads as an IPv4 address in any notation: its last label is a number (WHATWG URL, §3.5)."""
_IPV6_PUBLIC = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_DOCUMENTATION = ipaddress.ip_network("3fff::/20")
_MAX_URL = 2_000
"""Characters."""


class RefusedError(DataError):
    """A page that is not fetched or not kept; `what` is a reason without the address, to be counted."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads."""

    scheme: str
    host: str
    """In lower case, ASCII, without brackets."""
    port: int
    path: str
    """With the query; what stands in the first line of a request."""
    is_private_allowed: bool

    @property
    def origin(self) -> str:
        """`https://example.org`, with the port where it is not the usual one."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def netloc(self) -> str:
        """The host, with the port where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def site(self) -> str:
        """What is the same for the pages of one site: http or https, with or without www."""
        host = self.host.removeprefix("www.")
        return host if self.port in (80, 443) else f"{host}:{self.port}"


def check_target(url: str, allow_private: Collection[str] = ()) -> Target:
    """Check a normalised URL before anything is asked of a network.

    Args:
        url: as `links.normalise` gives it.
        allow_private: `HOST:PORT` that may be private.

    Raises:
        RefusedError: for another scheme, user names, other ports, and hosts that are no name or address.
    """
    if len(url) > _MAX_URL:
        raise RefusedError("address that is too long", where=url[:80])
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise RefusedError("address that is not valid", where=url) from error
    if parts.scheme not in _PORTS:
        raise RefusedError("address that is neither http nor https", where=url)
    if "@" in parts.netloc:
        raise RefusedError("address with a user name or password", where=url)
    if not re.fullmatch(r"[!-~]+", url):
        raise RefusedError("address that is not valid", where=url)
    host, port = host.lower(), _PORTS[parts.scheme] if port is None else port
    is_allowed = f"[{host}]:{port}" in allow_private or f"{host}:{port}" in allow_private
    if port not in _PORTS.values() and not is_allowed:
        raise RefusedError("address with another port than 80 and 443", where=url)
    literal = _literal(host)
    if literal is None and (not _HOST.fullmatch(host) or _NUMBER.fullmatch(host)):
        raise RefusedError("address whose host is not valid", where=url)
    if literal is not None and not is_allowed and not is_public(str(literal)):
        raise RefusedError("address in a private network", where=url)
    path = parts.path or "/"
    return Target(parts.scheme, host, port, f"{path}?{parts.query}" if parts.query else path, is_allowed)


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, the IPv4 address inside of it included (IPv4-mapped, 6to4
    and NAT64)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # a zone (fe80::1%eth0) among them
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.scope_id or ip not in _IPV6_PUBLIC or ip in _DOCUMENTATION:
            return False
        if ip.sixtofour is not None:  # what Python says of all of 2002::/16 differs between its versions
            return is_public(str(ip.sixtofour))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def resolve_host(target: Target, resolve: Resolve | None = None) -> list[str]:
    """The addresses to connect to, asked for once: who connects to them cannot be led elsewhere by a second answer.

    Raises:
        RefusedError: if there is none, or one of them is not public.
    """
    try:
        found = (resolve or _system_resolve)(target.host, target.port)
    except (OSError, UnicodeError) as error:
        raise RefusedError("host that is not known", where=target.host) from error
    if not found:
        raise RefusedError("host that is not known", where=target.host)
    if not target.is_private_allowed and not all(is_public(address) for address in found):
        raise RefusedError("address in a private network", where=target.host)
    return found


def _system_resolve(host: str, port: int) -> list[str]:
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in entries]
