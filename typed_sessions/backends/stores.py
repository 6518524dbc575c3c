"""One store for each cache alias and process, made anew when ``CACHES`` changes under a test."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

from django.core.signals import setting_changed

from ..stores.base import Store

T = TypeVar("T", bound=Store)


@lru_cache(maxsize=32)
def of_alias(store_class: type[T], alias: str) -> T:
    return store_class(alias)  # type: ignore[call-arg]  # every store over a cache takes its alias


def _forget(*, setting: str, **_: object) -> None:
    if setting == "CACHES":
        of_alias.cache_clear()


setting_changed.connect(_forget, dispatch_uid="typed_sessions.backends.stores")
