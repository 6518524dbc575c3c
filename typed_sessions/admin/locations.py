"""Which country an address is in, where the project has a database of that and ``geoip2`` (the extra ``geoip``)."""

from __future__ import annotations

import logging
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, NamedTuple

from django.conf import settings as django_settings
from django.core.signals import setting_changed

logger = logging.getLogger("typed_sessions")

_SETTINGS: Final = ("GEOIP_PATH", "GEOIP_COUNTRY", "GEOIP_CITY")


class Country(NamedTuple):
    code: str
    """ISO 3166-1, two letters."""
    name: str
    """In English."""


def country_of(address: str) -> Country | None:
    """The country of an address; nothing for one that is private, or if there is no database that knows it."""
    public = _public(address)
    database = None if public is None else _database()
    if database is None:
        return None
    try:
        found = database.country(public)
    except Exception as error:  # of the reader, which has more kinds of them than it tells
        # Two are none: the database does not know the address, or it is for IPv4 alone.
        if type(error).__name__ != "AddressNotFoundError" and not isinstance(error, ValueError):
            _tell(f"{type(error).__name__}: {error}")
        return None
    return Country(found["country_code"], found["country_name"] or "") if found["country_code"] else None


def _public(address: str) -> IPv4Address | IPv6Address | None:
    # Django's own would ask the domain name system about what is no address.
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return parsed if parsed.is_global else None


@lru_cache(maxsize=1)
def _database() -> Any:
    if not getattr(django_settings, "GEOIP_PATH", None):
        return None
    from django.contrib.gis import geoip2

    if not geoip2.HAS_GEOIP2:
        return None
    try:
        return geoip2.GeoIP2()
    except Exception as error:  # whatever is wrong with a file must not cost the page
        _tell(f"{type(error).__name__}: {error}")
        return None


@lru_cache(maxsize=1)
def _tell(problem: str) -> None:
    logger.warning("No countries are shown: the database at GEOIP_PATH cannot be read: %s", problem)


def _forget(*, setting: str, **_: object) -> None:
    if setting in _SETTINGS:
        _database.cache_clear()
        _tell.cache_clear()


setting_changed.connect(_forget, dispatch_uid="typed_sessions.admin.locations")
