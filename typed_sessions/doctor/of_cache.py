"""Looking into a cache that holds sessions, or copies of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from django.conf import settings as django_settings

from ..stores.byte_cache import byte_cache
from ..stores.cache import store_errors
from ..tokens import urn
from .findings import Check, Findings, warn
from .inspections import Inspection

_PROBE_LIFE = 10


def cache_probes(alias: str) -> Mapping[str, Callable[[], object]]:
    """The probes of the cache ``alias``."""
    key = urn("probe")

    def guarded(ask: Callable[[], object]) -> Callable[[], None]:
        def call() -> None:
            with store_errors(alias):
                ask()

        return call

    return {
        "write": guarded(lambda: byte_cache(alias).set(key, b"probe", _PROBE_LIFE)),
        "read": guarded(lambda: byte_cache(alias).get(key)),
        "delete": guarded(lambda: byte_cache(alias).delete(key)),
    }


class CacheInspection(Inspection):
    """A cache cannot be asked what it holds."""

    def probes(self) -> Mapping[str, Callable[[], object]]:
        return cache_probes(django_settings.SESSION_CACHE_ALIAS)

    def checks(self, mend: bool) -> Sequence[Check]:
        return (Check("durability", _durability),)

    def facts(self) -> Mapping[str, object]:
        alias = django_settings.SESSION_CACHE_ALIAS
        return {"alias": alias, "backend": django_settings.CACHES[alias]["BACKEND"]}


def _durability(name: str) -> Findings:
    """A cache may forget."""
    found = "a cache may drop sessions whenever it likes, tells of none that expires, and cannot list them"
    return warn(name, found, "For anything but development use the db, redis or cached_db engine.")
