"""Tokens: drawn from the system's randomness, refused when forged, and never shown."""

from __future__ import annotations

import hashlib
import random
import re
import secrets
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tests.core.records import NOW
from typed_sessions import SessionMode, clock, tokens, urn

if TYPE_CHECKING:
    from pytest_django import Settings

MODES = list(SessionMode)


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    """A genuine token, always the same one."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    with monkeypatch.context() as patched:
        patched.setattr(secrets, "randbelow", lambda limit: limit // 3)
        return tokens.issue(SessionMode.TEMP)


@pytest.mark.parametrize("mode", MODES)
def test_s01_a_token_is_40_lower_case_letters_and_digits(mode: SessionMode) -> None:
    """A token fits the 40-character columns of third parties, and stores that ignore case."""
    assert re.fullmatch("[0-9a-z]{40}", tokens.issue(mode), re.ASCII)


def test_s01_at_least_160_bits_come_from_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token's random part is one draw from `secrets` out of 2**160 or more, all of which ends up in the token."""
    limits = []

    def draw(limit: int) -> int:
        limits.append(limit)
        return limit - len(limits)

    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(secrets, "randbelow", draw)
    last, last_but_one = tokens.issue(SessionMode.TEMP), tokens.issue(SessionMode.TEMP)
    assert len(limits) == 2
    assert min(limits) >= 2**160
    assert int(last[:31], 36) == limits[0] - 1
    assert int(last_but_one[:31], 36) == limits[1] - 2


def test_s01_the_random_module_is_never_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a token comes from `random`, whose numbers can be foretold."""

    def refuse(*_: object, **__: object) -> Any:
        raise AssertionError("random was called")

    for name in ("random", "randint", "randrange", "getrandbits", "choice", "choices", "sample", "randbytes"):
        monkeypatch.setattr(random, name, refuse)
    random.seed(1)
    first = tokens.issue(SessionMode.PERM)
    random.seed(1)
    assert tokens.issue(SessionMode.PERM) != first


def test_s01_100_000_tokens_are_unique() -> None:
    """No token is given twice, and neither are their random parts."""
    issued = [tokens.issue(SessionMode.TEMP) for _ in range(100_000)]
    assert len({text[:31] for text in issued}) == 100_000


@pytest.mark.parametrize("mode", MODES)
def test_a_token_tells_its_mode_and_minute(mode: SessionMode, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was issued is read back with mode, text and the time of issue, rounded down to the minute."""
    monkeypatch.setattr(clock, "now", lambda: NOW + 59)
    text = tokens.issue(mode)
    read = tokens.read(text)
    assert read is not None
    assert (read.text, read.mode, read.issued, read.id) == (text, mode, NOW, tokens.digest(text))


def test_s33_a_blank_token_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that only takes an older one's place is genuine, says that it is blank, and is as random as any."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    text = tokens.issue_blank(SessionMode.TEMP)
    read = tokens.read(text)
    assert read is not None
    assert (read.is_blank, read.mode, read.issued) == (True, SessionMode.TEMP, NOW)
    assert text[:31] != tokens.issue_blank(SessionMode.TEMP)[:31]
    assert not any(found.is_blank for mode in MODES if (found := tokens.read(tokens.issue(mode))))


@pytest.mark.parametrize("year", [2026, 2082])
def test_the_time_of_issue_fits_for_decades(year: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 2026 to 2083 a token tells when it was issued."""
    moment = int(datetime(year, 1, 1, tzinfo=timezone.utc).timestamp())
    monkeypatch.setattr(clock, "now", lambda: moment)
    read = tokens.read(tokens.issue(SessionMode.PERM))
    assert read is not None and read.issued == moment


def test_a_clock_before_2026_does_not_make_tokens_from_the_far_future(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose clock is wrong, or a test that freezes it long ago, issues no token of the far future."""
    monkeypatch.setattr(clock, "now", lambda: 1_500_000_000)
    read = tokens.read(tokens.issue(SessionMode.PERM))
    assert read is not None and read.mode is SessionMode.PERM
    assert read.issued <= 1_767_225_600


def test_every_changed_character_is_noticed(token: str) -> None:
    """A token with one character other than it was issued with is refused, wherever it stands."""
    forged = [
        token[:place] + other + token[place + 1 :]
        for place in range(tokens.LENGTH)
        for other in tokens.ALPHABET
        if other != token[place]
    ]
    assert len(forged) == 40 * 35
    assert not any(tokens.read(text) for text in forged)


def test_two_exchanged_characters_are_noticed(token: str) -> None:
    """Two neighbours that change places, as in typing, make another token, which is refused."""
    forged = {token[:place] + token[place + 1] + token[place] + token[place + 2 :] for place in range(39)} - {token}
    assert forged
    assert not any(tokens.read(text) for text in forged)


def test_well_formed_forgeries_are_refused() -> None:
    """Guessing 40 good characters opens nothing; there is no database in this test, so it also asks nothing."""
    guess = random.Random(7)
    assert not any(tokens.read("".join(guess.choices(tokens.ALPHABET, k=40))) for _ in range(2_000))


def test_s05_the_public_handle_is_no_token(token: str) -> None:
    """The id that the admin and logs show is refused when it is presented as a token."""
    assert tokens.read(tokens.digest(token)) is None
    assert tokens.read(urn(tokens.digest(token))) is None


HOSTILE = {
    "empty": "",
    "star": "*",
    "question mark": "?" * 40,
    "bracket": "[" * 40,
    "colons": "urn:iauthsession:" + "a" * 23,
    "percent": "%2e%2e%2f" * 4 + "aaaa",
    "path": "../" * 13 + "a",
    "line break": "a" * 38 + "\r\n",
    "NUL": "a" * 39 + "\0",
    "accent": "é" * 40,
    "snowman": "☃" * 40,
    "quotes": '"' * 40,
    "sql": "' --" * 10,
    "other digits": "٣" * 40,
    "wide letters": "ａ" * 40,
    "lone surrogate": "\ud800" * 40,
    "long s, which is s when case is ignored": "ſ" * 40,
    "39 characters": "a" * 39,
    "42 characters": "a" * 42,
    "44 characters": "a" * 44,
    "64 KiB": "a" * 65_536,
    "none": None,
    "number": 5,
    "forty digits": 10**39,
    "truth": True,
    "bytes": b"a" * 40,
    "list": ["a"] * 40,
    "dict": dict.fromkeys("abcdefghijklmnopqrstuvwxyz0123456789ABCD"),
    "object": object(),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_s02_what_is_not_40_letters_and_digits_is_refused(text: object) -> None:
    """Whatever else a client sends is refused, and never raises."""
    assert tokens.read(text) is None


@pytest.mark.parametrize("wrong", [*"*?[:%/.\\-+_ \r\n\t\0\x7f'\"ABZ", "é", "☃", "٣", "ａ", "\ud800"])
@pytest.mark.parametrize("place", [0, 30, 31, 35, 39])
def test_s02_the_format_is_strict_even_if_the_check_code_is_guessed(
    token: str, wrong: str, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No character but 0-9a-z gets through, although one forgery in 1.7 million has the right check code by chance."""
    forged = token[:place] + wrong + token[place + 1 :]
    monkeypatch.setattr(tokens, "_code", lambda *_: forged[-4:])
    assert tokens.read(forged) is None


OTHER_LENGTHS = {name: text for name, text in HOSTILE.items() if not isinstance(text, str) or len(text) != 40}


@pytest.mark.parametrize("text", OTHER_LENGTHS.values(), ids=OTHER_LENGTHS.keys())
def test_s82_what_has_another_length_is_refused_before_anything_is_computed(
    text: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An oversize header or cookie costs no hash."""

    def refuse(*_: object) -> Any:
        raise AssertionError("a check code was computed")

    monkeypatch.setattr(tokens, "_code", refuse)
    assert tokens.read(text) is None


@pytest.mark.parametrize("change", [str.upper, str.title, lambda text: f" {text}", lambda text: f"{text}\n"])
def test_s02_a_genuine_token_in_other_dress_is_refused(token: str, change: Any) -> None:
    """A token is taken as it was issued, and not after a change of case or with white space."""
    assert tokens.read(change(token)) is None


def test_s83_check_codes_are_compared_in_constant_time(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a refusal takes does not tell how many characters were right."""
    compared = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert tokens.read(token) is None
    assert (token[-4:], token[-4:]) in compared
    assert {one for one, _ in compared} == {token[-4:]}


def test_a_new_secret_key_ends_old_tokens(token: str, settings: Settings) -> None:
    """Without the old key among the fallbacks, its tokens are forgeries."""
    settings.SECRET_KEY = "another key"
    assert tokens.read(token) is None


def test_fallback_keys_read_and_the_newest_writes(token: str, settings: Settings) -> None:
    """During a change of SECRET_KEY old tokens live, and new ones need the new key alone (Flask CVE-2025-47278)."""
    settings.SECRET_KEY_FALLBACKS = ["an older key", settings.SECRET_KEY]
    settings.SECRET_KEY = "the new key"
    assert tokens.read(token) is not None
    issued = tokens.issue(SessionMode.TEMP)
    settings.SECRET_KEY_FALLBACKS = []
    assert tokens.read(issued) is not None
    assert tokens.read(token) is None


def test_s33_blank_tokens_live_through_a_change_of_keys(settings: Settings) -> None:
    """A fallback key reads blank tokens as it reads others, and neither becomes the other."""
    blank, other = tokens.issue_blank(SessionMode.TEMP), tokens.issue(SessionMode.TEMP)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the new key"
    assert [found.is_blank for text in (blank, other) if (found := tokens.read(text))] == [True, False]


def test_keys_may_be_bytes(settings: Settings) -> None:
    """A SECRET_KEY of bytes is the same key as its text."""
    settings.SECRET_KEY = "schlüssel"
    of_text = tokens.issue(SessionMode.TEMP)
    settings.SECRET_KEY = "schlüssel".encode()
    assert tokens.read(of_text) is not None
    of_bytes = tokens.issue(SessionMode.TEMP)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["schlüssel".encode()]
    assert tokens.read(of_bytes) is not None


def test_s04_the_id_is_a_digest_of_the_token(token: str) -> None:
    """The id is 160 bits of the token's SHA-256 in lower-case hex, and the URN is made of it."""
    assert tokens.digest(token) == hashlib.sha256(token.encode()).hexdigest()[:40]
    assert re.fullmatch("[0-9a-f]{40}", tokens.digest(token))
    assert urn(tokens.digest(token)) == f"urn:iauthsession:{tokens.digest(token)}"


def test_hash_ids_false_makes_id_and_token_equal(token: str, settings: Settings) -> None:
    """With HASH_IDS=False the id is the token, as in ServiceStack; forgeries are refused as ever."""
    settings.TYPED_SESSIONS = {"HASH_IDS": False}
    read = tokens.read(token)
    assert read is not None and read.id == token == tokens.digest(token)
    assert tokens.read("a" * 40) is None


def test_s84_a_token_object_never_shows_its_text(token: str) -> None:
    """However a token object gets into a log line or a trace, the text is not in it, and the id is."""
    read = tokens.read(token)
    assert read is not None
    for shown in (repr(read), str(read), f"{read}", f"{read!s:>80}", repr([read]), str({1: read})):
        assert token not in shown
        assert read.id in shown
