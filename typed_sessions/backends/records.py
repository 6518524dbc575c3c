"""Making the next record of a session: what changes in the envelope with each save, and what stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from .. import clock, conf
from ..addresses import address_of
from ..exceptions import SessionTooLarge
from ..formats import Format
from ..stores import wire
from ..stores.record import FORMAT, Client, Record, new_nonce
from ..tokens import Token
from ..working_copy import Content

if TYPE_CHECKING:
    from django.http import HttpRequest

_ENVELOPE: Final = 2048
"""Bytes; no envelope is larger, so that smaller content need not be measured with it."""
_LONGEST_AGENT: Final = 256


def make(content: Content, token: Token, base: Record | None, *, now: int, seen: int, **envelope: Any) -> Record:
    """The record of ``token`` with ``content``, which follows ``base``, under its id or as its replacement."""
    return Record(
        format=FORMAT,
        seen=seen,
        revision=base.revision + 1 if base and base.id == token.id else 1,
        nonce=new_nonce(),
        earlier=base.marks() if base and base.id == token.id else "",
        id=token.id,
        mode=token.mode,
        created=base.created if base else now,
        modified=now,
        type=content.type,
        schema=content.schema,
        data=content.data,
        bag=content.bag,
        **envelope,
    )


def rewritten(base: Record, content: Content, now: int) -> Record:
    """``base`` with other content, by somebody who is not its visitor."""
    return following(base, modified=now, **content._asdict())


def following(base: Record, **changes: Any) -> Record:
    """``base`` with ``changes``, as the next save has to look."""
    revision, earlier = base.revision + 1, base.marks()
    return msgspec.structs.replace(base, revision=revision, nonce=new_nonce(), earlier=earlier, **changes)


def authentication(
    user: str | None, base: Record | None, now: int, signed_in: bool, absolute: int | None
) -> tuple[int | None, int | None]:
    """When the user signed in, and the absolute end that follows from it, in ``absolute`` seconds if that is said."""
    if user is None:
        return None, None
    if base is not None and base.user == user and not signed_in:
        return base.authenticated, base.until
    absolute = conf.settings().absolute_seconds if absolute is None else absolute
    # Who was put into the session past login() has proved nothing, and does not stay for ever either.
    return now if signed_in else None, None if absolute is None else now + absolute


def place(base: Record | None, user: str | None, signed_in: bool) -> int:
    """When a sign-in was, more finely than it is told, so that of two in one second it is known which came first."""
    if user is None:
        return 0
    if base is not None and base.user == user and not signed_in:
        return base.place
    return clock.milliseconds()


def client_of(request: HttpRequest | None, base: Record | None) -> Client | None:
    known = base.client if base else None
    if request is None:
        return known
    address, agent = address_of(request), request.META.get("HTTP_USER_AGENT", "")[:_LONGEST_AGENT]
    return known.seen_as(address, agent) if known else Client(address=address, agent=agent)


def refuse_too_large(record: Record, format: Format) -> None:
    """Raises ``SessionTooLarge`` if the encoded record takes more than ``MAX_BYTES``."""
    limit = conf.settings().max_bytes
    if memoryview(record.data).nbytes + memoryview(record.bag).nbytes + _ENVELOPE <= limit:
        return
    size = len(wire.encode(record))
    if size > limit:
        parts = {name: len(bytes(raw)) for name, raw in format.split(record.data).items()}
        parts.update({f"session[{key!r}]": len(bytes(raw)) for key, raw in format.split(record.bag).items()})
        raise SessionTooLarge(size, limit, sorted(parts.items(), key=lambda part: -part[1])[:3])
