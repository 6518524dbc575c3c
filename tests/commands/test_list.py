"""`typed_sessions list`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from tests.commands.conftest import UNKNOWN, Run, id_of
from tests.engines.rows import UseEngine
from tests.web.browser import Browser
from tests.web.signing import put_in_cart
from typed_sessions import SessionMode, live_sessions
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.record import Client
from typed_sessions.testing.engines import Clock
from typed_sessions.testing.stores import full_record

pytestmark = pytest.mark.usefixtures("engine")
few = pytest.mark.parametrize("engine", ["db", "redis"], indirect=True)


def test_newest_first(
    run: Run, visitor: Callable[[], Browser], signed_in: Callable[..., Browser], user: User, clock: Clock
) -> None:
    """Live sessions come in the order of their last use, each with who, where and until when."""
    first, second = signed_in(user, remember=True), visitor()
    clock.advance(60)
    first.visit(put_in_cart())
    clock.advance(86_400)
    said = run("list")
    assert said.code == 0
    head, *rows = said.lines
    assert head == ["ID", "USER", "MODE", "CREATED", "LAST SEEN", "EXPIRES IN", "ADDRESS"]
    assert [row[0] for row in rows] == [id_of(first), id_of(second)]
    assert rows[0][1:3] == [f"ada ({user.pk})", "perm"]
    assert rows[0][5:] == ["27 d", "127.0.0.1"]
    assert rows[1][1:3] == ["-", "temp"]
    assert rows[1][5:] == ["12 d 23 h", "127.0.0.1"]


def test_pages(run: Run, visitor: Callable[[], Browser]) -> None:
    """`--limit` and `--offset` are those of a page."""
    ids = [id_of(visitor()) for _ in range(5)][::-1]
    for offset in (0, 2, 4, 6):
        said = run("list", "--json", "--limit", 2, "--offset", offset)
        assert [row["id"] for row in said.json] == ids[offset : offset + 2]


def test_json(run: Run, signed_in: Callable[..., Browser], user: User, clock: Clock) -> None:
    """For programs times are ISO 8601 in UTC, and the remaining time is in seconds."""
    browser = signed_in(user)
    clock.advance(10)
    assert run("list", "--json").json == [
        {
            "id": id_of(browser),
            "user": str(user.pk),
            "user_name": "ada",
            "mode": SessionMode.TEMP.value,
            "created": "2027-01-15T08:01:00+00:00",
            "last_seen": "2027-01-15T08:01:00+00:00",
            "expires": "2027-01-29T08:01:00+00:00",
            "expires_in": 14 * 86_400 - 10,
            "address": "127.0.0.1",
            "agent": "",
        }
    ]


def test_of_one_user(run: Run, signed_in: Callable[..., Browser], user: User, other_user: User) -> None:
    """`--user` takes the name or the primary key, and pages go through that user's sessions."""
    ids = [id_of(signed_in(user)) for _ in range(3)][::-1]
    signed_in(other_user)
    for name in ("ada", user.pk):
        assert [row["id"] for row in run("list", "--json", "--user", name).json] == ids
    assert [row["id"] for row in run("list", "--json", "--user", "ada", "--limit", 1, "--offset", 1).json] == [ids[1]]


def test_s05_no_token(run: Run, signed_in: Callable[..., Browser], user: User) -> None:
    """Neither a token nor a field is in what is said."""
    browser = signed_in(user)
    for arguments in ([], ["--json"], ["-v", "3"]):
        said = run("list", *arguments)
        assert browser.token not in said.out + said.err
        assert "tea" not in said.out


def test_looking_extends_nothing(run: Run, visitor: Callable[[], Browser], clock: Clock) -> None:
    """A session that was listed expires when it would have."""
    browser = visitor()
    session = live_sessions.get(id_of(browser))
    clock.advance(3600)
    run("list")
    assert live_sessions.get(id_of(browser)).expires_at == session.expires_at


def test_nobody(run: Run) -> None:
    """Without sessions there is an empty list, and people are told so."""
    said = run("list")
    assert (said.code, said.out, said.err) == (0, "", "No sessions.\n")
    assert run("list", "--json").json == []


@few
def test_user_who_is_gone(run: Run, signed_in: Callable[..., Browser], user: User) -> None:
    """The sessions of a user whose row is gone are found by the primary key, and the name is not known."""
    signed_in(user)
    key = user.pk
    User.objects.filter(pk=key).delete()
    said = run("list", "--user", key)
    assert said.lines[1][1] == f"? ({key})"


@few
def test_unknown_user(run: Run) -> None:
    """A name or key that is no user's is an error that says so."""
    for name in ("nobody", "12345"):
        said = run("list", "--user", name)
        assert (said.code, said.out) == (1, "")
        assert said.err == f"There is no user with the username or primary key {name!r}."


@few
def test_name_that_is_a_key_too(run: Run, user: User, signed_in: Callable[..., Browser]) -> None:
    """Where a text is the name of one user and the primary key of another, nobody is taken for the other."""
    other = User.objects.create_user(str(user.pk))
    signed_in(other)
    said = run("list", "--user", user.pk)
    assert said.code == 2
    assert "is the name of one user, and the primary key of another" in said.err
    assert len(run("list", "--json", "--user", other.pk).json) == 1


@few
def test_where_it_was_used_last(run: Run, engine: type[SessionStore]) -> None:
    """Address and browser are those of the last use."""
    store = engine().store
    store.create(full_record(store))
    (row,) = run("list", "--json").json
    assert (row["address"], row["agent"]) == ("2001:db8::7", "Browser/2")


@few
def test_what_would_move_a_terminal(run: Run, engine: type[SessionStore]) -> None:
    """Control characters in what is stored are told, and not done."""
    store = engine().store
    store.create(full_record(store, client=Client(address="\x1b[2J\x9b31m")))
    said = run("list")
    assert "\x1b" not in said.out
    assert "\\x1b[2J\\x9b31m" in said.out


@few
def test_s04_ids_that_are_tokens(run: Run, configure: Callable[..., None], visitor: Callable[[], Browser]) -> None:
    """With HASH_IDS=False what is listed is no token either, and yet names the session for the other verbs."""
    configure(HASH_IDS=False)
    browser, other = visitor(), visitor()
    (_, listed) = run("list", "--json").json
    assert browser.token not in str(listed)
    assert run("show", listed["id"], "--json").json["id"] == listed["id"]
    assert browser.token not in run("show", listed["id"]).out
    assert run("show", UNKNOWN).code == 1
    assert run("end", listed["id"]).code == 0
    assert [live_sessions.get(each.token) is None for each in (browser, other)] == [True, False]


def test_cache_cannot_list(run: Run, use_engine: UseEngine) -> None:
    """The engine that does not know its sessions says so, and which ones do."""
    use_engine("cache")
    for arguments in (["list"], ["reap"], ["end", "--all", "--yes"], ["end", "--user", "ada"]):
        said = run(*arguments)
        assert said.code == 2
        assert "cannot list its sessions" in said.err
        assert "redis, db or cached_db" in said.err
