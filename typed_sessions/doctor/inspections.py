"""How commands look into a store of ours, of whatever kind, past its verbs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from ..stores.base import Store
from .findings import Check

Progress = Callable[[int], object]


@dataclass(frozen=True)
class Unannounced:
    """Sessions that have expired, and whose end nobody has announced or begun to."""

    count: int
    since: int | None
    """When the first of them expired."""


class Inspection(ABC):
    """One store. Every method may raise ``StoreUnavailable``."""

    def __init__(self, store: Store, progress: Progress = lambda done: None) -> None:
        self.store = store
        self.progress = progress

    @abstractmethod
    def probes(self) -> Mapping[str, Callable[[], object]]:
        """A write, a read and a delete that concern no session, to be called in this order."""

    @abstractmethod
    def checks(self, mend: bool) -> Sequence[Check]:
        """What to check in such a store, and with ``mend`` to mend."""

    @abstractmethod
    def facts(self) -> Mapping[str, object]:
        """What there is to know about the store, by name: text, numbers or nothing, where it does not say."""

    def unannounced(self, now: int) -> Unannounced | None:
        """Nothing if the store cannot tell."""
        return None

    def claimed(self) -> int | None:
        """How many ends somebody has begun to announce; nothing if the store cannot tell."""
        return None


_KINDS = {"redis": "Redis", "database": "Database", "cached_database": "CachedDatabase", "cache": "Cache"}


def inspection(store: Store, progress: Progress = lambda done: None) -> Inspection | None:
    """How to look into ``store``; nothing for one that is not derived from ours."""
    for ancestor in type(store).__mro__:
        package, _, kind = ancestor.__module__.rpartition(".")
        if package == "typed_sessions.stores" and kind in _KINDS:
            # By name, since Redis is optional.
            found = getattr(import_module(f".of_{kind}", __package__), f"{_KINDS[kind]}Inspection")
            looking: Inspection = found(store, progress)
            return looking
    return None
