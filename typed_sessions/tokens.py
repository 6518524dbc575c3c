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
import re
import secrets
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from django.conf import settings as django_settings

from . import clock, conf
from .states import SessionMode

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
LENGTH = 40
_RANDOM, _ISSUED, _CODE = 31, 5, 4  # 36**31 > 2**160; 36**5 minutes and modes last until 2083
_RANDOM_SPACE = 36**_RANDOM
_CODE_SPACE = 36**_CODE
_WELL_FORMED = re.compile(r"[0-9a-z]{40}", re.ASCII)
_EPOCH = 1_767_225_600  # 2026-01-01T00:00:00Z
_MODES = (SessionMode.TEMP, SessionMode.PERM)

_PREFIX = "urn:iauthsession:"


class Token(NamedTuple):
    """A genuine token: made by a server that knows the secret key. Its session may still be gone."""

    text: str
    mode: SessionMode
    issued: int
    """Seconds since the epoch, rounded down to the minute."""

    @property
    def id(self) -> str:
        return digest(self.text)

    def __repr__(self) -> str:
        return f"<Token of session {self.id}>"


def issue(mode: SessionMode) -> str:
    """A new token: 160 random bits, the time of issue, the mode, and the check code."""
    issued = (clock.now() - _EPOCH) // 60 * 2 + _MODES.index(mode)
    body = _base36(secrets.randbelow(_RANDOM_SPACE), _RANDOM) + _base36(issued, _ISSUED)
    return body + _code(body, django_settings.SECRET_KEY)


def read(text: object) -> Token | None:
    """The token that ``text`` is, or nothing for whatever else a client may send. Costs no store access."""
    if not isinstance(text, str) or len(text) != LENGTH or not _WELL_FORMED.fullmatch(text):
        return None
    body, code = text[:-_CODE], text[-_CODE:]
    if not any(hmac.compare_digest(code, _code(body, secret)) for secret in _secrets()):
        return None
    minute, mode = divmod(int(body[_RANDOM:], 36), 2)
    return Token(text, _MODES[mode], _EPOCH + minute * 60)


def digest(token: str) -> str:
    """The id of the session that ``token`` opens: 160 bits as 40 hex digits (REQ-S04).

    With ``HASH_IDS=False`` it is the token itself.
    """
    if not conf.settings().hash_ids:
        return token
    return sha256(token.encode()).hexdigest()[:LENGTH]


def urn(session_id: str) -> str:
    """The public name of a session, and its key in a store: ``urn:iauthsession:<id>``."""
    return _PREFIX + session_id


def _secrets() -> tuple[str | bytes, ...]:
    return (django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=16)
def _key(secret: str | bytes) -> bytes:
    # A key of its own, so that nothing else signed with SECRET_KEY can serve as a check code.
    return sha256(b"typed_sessions.tokens\0" + (secret.encode() if isinstance(secret, str) else secret)).digest()


def _code(body: str, secret: str | bytes) -> str:
    mac = hmac.digest(_key(secret), body.encode(), "sha256")
    return _base36(int.from_bytes(mac[:8], "big") % _CODE_SPACE, _CODE)


def _base36(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, rest = divmod(number, 36)
        digits.append(ALPHABET[rest])
    return "".join(reversed(digits))
