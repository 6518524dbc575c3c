"""The search above the list: exact, and by what is indexed."""

from __future__ import annotations

import re
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Q
from django.http import QueryDict

from .. import site, tokens
from ..addresses import spelled
from .queryset import Source

LONGEST: Final = 320
"""Characters of what can be the name or e-mail address of a user."""
_USERS: Final = 20
"""Users that may have one e-mail address."""
_URN: Final = tokens.urn("")
_RUNS: Final = re.compile(rf"[0-9a-z]{{{tokens.LENGTH},}}")
_HEX: Final = frozenset("0123456789abcdef")
_LOOKED_AT: Final = 4000
"""Characters in which a token is looked for."""


def sources_of(text: str) -> frozenset[Source]:
    """Where sessions are that somebody searches for: of a user by name or e-mail address, of an address, or the one of
    an id, with or without ``urn:iauthsession:`` in front.
    """
    given = text.strip()
    if not given or len(given) > LONGEST or "\0" in given:
        return frozenset()
    found = {Source("user", site.key_of_user(user)) for user in _users(given)}
    if (address := spelled(given)) is not None:
        found.add(Source("address", address))
    if tokens.is_well_formed(session_id := given.removeprefix(_URN)):
        found.add(Source("id", session_id))
    return frozenset(found)


def id_of_token(text: str) -> str | None:
    """The id to search for instead, if there is a token in ``text``, or what looks like one: no page may say it again
    (REQ-S86).
    """
    for run in _RUNS.findall(text[:_LOOKED_AT]):
        if len(run) == tokens.LENGTH and not set(run) <= _HEX:
            return tokens.shown(tokens.digest(run))
        for begin in range(len(run) - tokens.LENGTH + 1):
            if (token := tokens.read(run[begin : begin + tokens.LENGTH])) is not None:
                return tokens.shown(token.id)
    return None


def without_tokens(query: QueryDict) -> QueryDict | None:
    """The query string with ids in place of the tokens in it; ``None`` if there are none."""
    changed = query.copy()
    for name, values in query.lists():
        changed.setlist(name, [id_of_token(value) or value for value in values])
    return None if changed == query else changed


def without(query: QueryDict, *names: str) -> QueryDict:
    """The query string without these parts."""
    changed = query.copy()
    for name in names:
        changed.pop(name, None)
    return changed


def _users(given: str) -> list[Any]:
    model: Any = get_user_model()
    named = Q(**{model.USERNAME_FIELD: given})
    if "@" in given and (email := _email_field(model)):
        named |= Q(**{f"{email}__iexact": given})
    return list(model._base_manager.filter(named).only("pk")[:_USERS])


def _email_field(model: Any) -> str | None:
    name: str = model.get_email_field_name() if hasattr(model, "get_email_field_name") else "email"
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return name
