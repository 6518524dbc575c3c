"""Looking into the table of sessions, and into the cache with their copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.conf import settings as django_settings

from ..exceptions import StoreUnavailable
from .findings import Check, Findings, fail, good
from .of_cache import cache_probes
from .of_database import DatabaseInspection


class CachedDatabaseInspection(DatabaseInspection):
    def checks(self, mend: bool) -> Sequence[Check]:
        return (*super().checks(mend), Check("cache", _check_cache))

    def facts(self) -> Mapping[str, object]:
        return {**super().facts(), "cache": django_settings.SESSION_CACHE_ALIAS}


def _check_cache(name: str) -> Findings:
    """Whether the cache answers: without it sessions are read more slowly, and cannot be ended."""
    alias = django_settings.SESSION_CACHE_ALIAS
    try:
        for probe in cache_probes(alias).values():
            probe()
    except StoreUnavailable as error:
        advice = (
            f"Let CACHES[{alias!r}] answer; until then every read goes to the database, and no session can be ended."
        )
        return fail(name, f"does not answer: {error}", advice)
    return good(name, f"CACHES[{alias!r}] answers")
