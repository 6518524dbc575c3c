"""One store for each cache alias and process, made anew when ``CACHES`` changes under a test."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from django.core.signals import setting_changed

from ..stores.base import Store


@lru_cache(maxsize=32)
def of_alias(store_class: Callable[[str], Store], alias: str) -> Store:
    """The process' store of ``store_class`` over the cache ``alias``."""
    return store_class(alias)


def _forget(*, setting: str, **_: object) -> None:
    if setting == "CACHES":
        of_alias.cache_clear()


setting_changed.connect(_forget, dispatch_uid="typed_sessions.backends.stores")
