"""The project's engine and users, as commands ask for them: what is asked in vain ends the command."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from .. import site
from ..site import AskedWrongly, NotThere, end_one, engine, names_of, record_of, shortened, store
from .output import asked_wrongly, not_there

__all__ = ["end_one", "engine", "key_of", "listing_store", "names_of", "record_of", "session_id", "shortened", "store"]

P = ParamSpec("P")
T = TypeVar("T")


def _for_commands(ask: Callable[P, T]) -> Callable[P, T]:
    @wraps(ask)
    def asking(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return ask(*args, **kwargs)
        except AskedWrongly as error:
            asked_wrongly(str(error))
        except NotThere as error:
            not_there(str(error))

    return asking


listing_store = _for_commands(site.listing_store)
session_id = _for_commands(site.session_id)
key_of = _for_commands(site.key_of)
