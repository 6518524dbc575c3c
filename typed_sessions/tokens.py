"""Tokens and ids: how a token is made, told from a forgery, and turned into the id that may be shown.

A token is what the cookie carries: 40 characters of ``0-9a-z``, so that it fits the 40-character columns in which
other packages keep a ``session_key``, and survives stores that ignore case.

    <31 random> <5 minute of issue and mode> <4 check code>

The check code is keyed by ``SECRET_KEY`` (and its fallbacks), so a mistyped or made-up token is refused before any
store is asked. It is not what keeps a session safe: the 160 random bits are. The id is a digest of the token, so that
whoever reads a store, a log or the admin learns nothing that a browser could present.
"""

from __future__ import annotations

import hmac
import secrets
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import NamedTuple

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from . import clock, conf
from .states import SessionMode

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
LENGTH = 40
_RANDOM, _ISSUED, _CODE = 31, 5, 4  # 36**31 > 2**160; 36**5 minutes and modes last until 2083
_RANDOM_SPACE = 36**_RANDOM
_CODE_SPACE = 36**_CODE
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_EPOCH = 1_767_225_600  # 2026-01-01T00:00:00Z
_MODES = (SessionMode.TEMP, SessionMode.PERM)

_PREFIX = "urn:iauthsession:"


class Token(NamedTuple):
    """A genuine token: made by a server that knows the secret key. Its session may still be gone."""

    text: str
    mode: SessionMode
    issued: int
    """Seconds since the epoch, rounded down to the minute."""
    id: str
    """What the token opens, if that is still there."""
    is_blank: bool = False
    """Whether it was issued to open nothing, ever."""

    def __repr__(self) -> str:
        return f"<Token of session {self.id}>"


def issue(mode: SessionMode) -> str:
    """A new token: 160 random bits, the time of issue, the mode, and the check code."""
    return _issue(mode)


def issue_blank(mode: SessionMode) -> str:
    """A token for the cookie of the mode that is not in use: it takes the place of an older one (REQ-S33), opens
    nothing, and costs no store access.
    """
    return _issue(mode, is_blank=True)


def _issue(mode: SessionMode, is_blank: bool = False) -> str:
    issued = max(0, clock.now() - _EPOCH) // 60 * 2 + _MODES.index(mode)
    body = _base36(secrets.randbelow(_RANDOM_SPACE), _RANDOM) + _base36(issued, _ISSUED)
    return body + _code(body, _keys()[0], is_blank)


def read(text: object) -> Token | None:
    """The token that ``text`` is, or nothing for whatever else a client may send. Costs no store access."""
    if not isinstance(text, str) or not is_well_formed(text):
        return None
    body, code = text[:-_CODE], text[-_CODE:]
    for is_blank in (False, True):
        for key in _keys():
            if hmac.compare_digest(code, _code(body, key, is_blank)):
                minute, mode = divmod(int(body[_RANDOM:], 36), 2)
                return Token(text, _MODES[mode], _EPOCH + minute * 60, digest(text), is_blank)
    return None


def digest(token: str) -> str:
    """The id of the session that ``token`` opens: 160 bits as 40 hex digits (REQ-S04).

    With ``HASH_IDS=False`` it is the token itself.
    """
    return _digest(token) if conf.settings().hash_ids else token


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()[:LENGTH]


def shown(session_id: str | None) -> str | None:
    """An id as clients see it, who with ``HASH_IDS=False`` would have a token else (REQ-S22)."""
    return session_id if session_id is None or conf.settings().hash_ids else _digest(session_id)


def urn(session_id: str) -> str:
    """The public name of a session, and its key in a store: ``urn:iauthsession:<id>``."""
    return _PREFIX + session_id


def is_well_formed(text: str) -> bool:
    """Whether a token could look like this. Says nothing of whether it is one."""
    return len(text) == LENGTH and text.isascii() and text.isalnum() and text == text.lower()


@lru_cache(maxsize=1)
def _keys() -> tuple[bytes, ...]:
    """The key that codes are made with, and those that they may have been made with."""
    return tuple(_key(secret) for secret in (django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS))


def _key(secret: str | bytes) -> bytes:
    # A key of its own, so that nothing else signed with SECRET_KEY can serve as a check code.
    return sha256(b"typed_sessions.tokens\0" + (secret.encode() if isinstance(secret, str) else secret)).digest()


def _code(body: str, key: bytes, is_blank: bool) -> str:
    mac = blake2b(body.encode(), key=key, digest_size=8, person=b"blank" if is_blank else b"").digest()
    first, second = divmod(int.from_bytes(mac, "big") % _CODE_SPACE, len(_PAIRS))
    code: str = _PAIRS[first] + _PAIRS[second]
    return code


def _base36(number: int, width: int) -> str:
    pairs = []
    for _ in range((width + 1) // 2):
        number, pair = divmod(number, len(_PAIRS))
        pairs.append(_PAIRS[pair])
    return "".join(reversed(pairs))[-width:]


def _forget(*, setting: str, **_: object) -> None:
    if setting in ("SECRET_KEY", "SECRET_KEY_FALLBACKS"):
        _keys.cache_clear()


setting_changed.connect(_forget, dispatch_uid="typed_sessions.tokens")
