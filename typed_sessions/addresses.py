"""Where a request comes from: the address of the connection, or what proxies tell that the project trusts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from . import conf

if TYPE_CHECKING:
    from django.http import HttpRequest

_Address = IPv4Address | IPv6Address
_UNIX: Final = ("", "unix:")
"""``REMOTE_ADDR`` of a server that listens on a Unix socket, if it has one."""


def address_of(request: HttpRequest) -> str:
    """The visitor's address: ``REMOTE_ADDR``, unless that is one of ``TRUSTED_PROXIES``. What is none stays as it is.

    Each proxy writes at the end of ``X-Forwarded-For`` whom it was asked by, so the visitor is the last one there that
    is none of them; anybody can write what is before that. Where somebody wrote what is no address, nobody knows more
    than the last proxy's.
    """
    remote: str = request.META.get("REMOTE_ADDR", "")
    trusted = conf.settings().trusted_proxies
    known = _known(remote)
    if not trusted or not _is_proxy(remote, trusted):
        return known
    for told in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        address = _parsed(told)
        if address is None:
            break
        known = str(address)
        if not _is_among(address, trusted):
            break
    return known


def spelled(text: str) -> str | None:
    """An address in the one way in which sessions keep it; ``None`` for what is no address.

    A server that listens on IPv6 writes IPv4 as ``::ffff:192.0.2.7``.
    """
    try:
        return str(_unwrapped(ip_address(text)))
    except ValueError:
        return None


def _known(remote: str) -> str:
    # IPv4 is written in one way only, and need not be read for that.
    return (spelled(remote) if ":" in str(remote) else None) or remote


def _unwrapped(address: _Address) -> _Address:
    return getattr(address, "ipv4_mapped", None) or address


def _is_proxy(remote: str, trusted: Sequence[str]) -> bool:
    if remote in _UNIX:
        return conf.UNIX in trusted
    address = _parsed(str(remote))  # whoever makes a request by hand puts there what they like
    return address is not None and _is_among(address, trusted)


def _is_among(address: _Address, trusted: Sequence[str]) -> bool:
    return any(address in network for network in _networks(tuple(trusted)))


@lru_cache(maxsize=1)
def _networks(trusted: tuple[str, ...]) -> list[IPv4Network | IPv6Network]:
    return [ip_network(network) for network in trusted if network != conf.UNIX]


def _parsed(told: str) -> _Address | None:
    """An address with or without a port: ``192.0.2.7:80``, ``2001:db8::7``, ``[2001:db8::7]:443``."""
    text = told.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return _unwrapped(ip_address(text))
    except ValueError:
        return None
