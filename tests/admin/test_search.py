"""The search above the list of live sessions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from tests.admin.conftest import ADDRESS, LIST, UNKNOWN, Begin, Desk, few, ids, told
from tests.web.conftest import NewBrowser
from tests.web.signing import put_in_cart
from typed_sessions import SessionMode, live_sessions, tokens, urn
from typed_sessions.admin import search
from typed_sessions.admin.queryset import Source
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.record import Client

V6 = "2001:db8::7"


def test_search(
    desk: Callable[[User], Desk], begin: Begin, root: User, user: User, other_user: User, engine: type[SessionStore]
) -> None:
    """Sessions are found by exact user name, e-mail address, first or last IP address, id and URN; by parts of them
    nothing is.
    """
    elsewhere = Client(address="192.0.2.99", agent="x", last_address=V6, last_agent="x")
    first, second = begin(user, ago=10), begin(user, ago=20, client=elsewhere)
    third = begin(other_user, ago=30)
    at = desk(root)
    both = [first.id, second.id]
    assert ids(at.get(query="q=ada")) == both
    assert ids(at.get(query="q=+ada+")) == both
    assert ids(at.get(query="q=ada@example.com")) == both
    assert ids(at.get(query="q=ADA@Example.com")) == both
    assert ids(at.get(query=f"q={ADDRESS}")) == [first.id, third.id]
    assert ids(at.get(query="q=192.0.2.99")) == [second.id]
    assert ids(at.get(query="q=2001:0DB8:0:0::0007")) == [second.id]
    assert ids(at.get(query=f"q={third.id}")) == [third.id]
    assert ids(at.get(query=f"q={urn(third.id)}")) == [third.id]
    for nothing in ("ad", "da", "192.0.2", third.id[:8], "example.com", UNKNOWN, "%25", "_", "*"):
        found = at.get(query=f"q={nothing}")
        assert (ids(found), "0 results" in found.text) == ([], True), nothing


@few
def test_address_of_a_server_for_both_families(desk: Callable[[User], Desk], begin: Begin, root: User) -> None:
    """An address is found in whichever way it is written."""
    record, at = begin(), desk(root)
    for written in (ADDRESS, f"::ffff:{ADDRESS}", "::FFFF:c000:207", f" {ADDRESS} "):
        assert ids(at.get(query=f"q={written}".replace(" ", "+"))) == [record.id]


@few
@pytest.mark.parametrize("query", ["q=abc%00", "q=%00", "q=" + "a" * 5000])
def test_what_is_not_searched_for(desk: Callable[[User], Desk], begin: Begin, root: User, query: str) -> None:
    """A search that is refused finds nothing: it must not become the sessions of everybody."""
    record, at = begin(), desk(root)
    assert ids(at.get(query=query)) == []
    question = at.get("end-matching/", query)
    assert "There is no session to end." in question.text
    assert told(at.submit(question, "end-matching/", query))[-1] == "error: No session was ended."
    assert set(ids(at.get())) == {at.id, record.id}


@few
def test_several_with_one_address(desk: Callable[[User], Desk], begin: Begin, root: User) -> None:
    """An e-mail address that several users have finds the sessions of all of them; a name that is also an address
    finds both.
    """
    one = User.objects.create_user("one", "same@example.com")
    two = User.objects.create_user(ADDRESS, "same@example.com")
    far = Client(address="192.0.2.99", agent="x")
    records = [begin(one, ago=1, client=far), begin(two, ago=2, client=far), begin(ago=3)]
    at = desk(root)
    assert ids(at.get(query="q=same@example.com")) == [records[0].id, records[1].id]
    assert ids(at.get(query=f"q={ADDRESS}")) == [records[1].id, records[2].id]


@few
def test_s86_pasted_token(desk: Callable[[User], Desk], root: User, new_browser: NewBrowser) -> None:
    """A token that somebody pastes becomes the id of its session, and is on no page and in no address."""
    visitor, at = new_browser(), desk(root)
    visitor.visit(put_in_cart())
    token = visitor.token
    around = (f"q=ss-id={token}", f"q={token};", f"q=x{token}y", f"q=%22{token}%22")
    for query in (f"q={token}", f"q=+{token}%20", f"q={urn(token)}", f"mode=temp&q={token}", *around):
        answer = at.browser.get(f"{LIST}?{query}")
        assert answer.status == 302
        assert token not in answer["location"]
        found = at.get(query=query)
        assert ids(found) == [tokens.digest(token)]
        assert token not in found.text
    for path, query in (("", f"id={token}"), ("", f"user={token}"), ("end-matching/", f"q={token}")):
        assert token not in at.browser.get(f"{LIST}{path}?{query}")["location"]
        assert token not in at.get(path, query).text


@few
@pytest.mark.parametrize("hash_ids", [True, False])
def test_s86_token_without_a_page(
    desk: Callable[[User], Desk],
    root: User,
    new_browser: NewBrowser,
    configure: Callable[..., None],
    hash_ids: bool,
) -> None:
    """A token behind the address of the list leads to the page of its session, by the id; before the name of a page it
    opens nothing. It is said again in no address and on no page, not even when its session has ended.
    """
    configure(HASH_IDS=hash_ids)
    visitor, at = new_browser(), desk(root)
    visitor.visit(put_in_cart())
    token, shown = visitor.token, tokens.shown(tokens.digest(visitor.token))
    for text in (token, urn(token), f"ss-id={token}", shown, urn(str(shown))):
        assert at.browser.get(f"{LIST}{text}/")["location"] == f"{LIST}{shown}/change/"
    for _ in ("live", "ended"):
        for page in ("change", "end", "history", "delete"):
            answer = at.browser.get(f"{LIST}{token}/{page}/")
            assert token not in answer.text + answer["location"]
            assert answer.status in (302, 403)
        live_sessions.end(tokens.digest(token))


@few
def test_s86_token_of_other_keys(desk: Callable[[User], Desk], root: User) -> None:
    """What only looks like a token is not said again either: it may be one of another secret key."""
    at, strange = desk(root), "z" * 40
    for query in (f"q={strange}", f"q=ss-id={strange}"):
        found = at.get(query=query)
        assert strange not in found.text
        assert "0 results" in found.text


@few
def test_s86_token_in_place_of_an_id(desk: Callable[[User], Desk], root: User, new_browser: NewBrowser) -> None:
    """A token where an id should be opens nothing, and no page says it again."""
    visitor, at = new_browser(), desk(root)
    visitor.visit(put_in_cart())
    for page in ("change", "history", "end"):
        found = at.get(f"{visitor.token}/{page}/")
        assert found.status == 200
        assert visitor.token not in found.text
        assert "There is no session" in found.text


def test_ids_that_are_tokens(configure: Callable[..., None]) -> None:
    """With `HASH_IDS=False` a token is searched for by its digest too."""
    configure(HASH_IDS=False)
    token = tokens.issue_blank(SessionMode.TEMP)
    assert search.id_of_token(token) == tokens.shown(token) != token


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["", "  ", "\0", "a\0b", "a" * 321, "é" * 10_000])
def test_nothing_to_search_for(text: str) -> None:
    """What can be the name of nobody and nothing is not looked for."""
    assert search.sources_of(text) == frozenset()


@pytest.mark.django_db
def test_user_model_without_email(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user model need have no e-mail address."""
    assert search.sources_of("ada@example.com") == {Source("user", str(user.pk))}
    monkeypatch.setattr(User, "get_email_field_name", lambda: "post")
    assert search.sources_of("ada@example.com") == frozenset()
    assert search.sources_of("ada") == {Source("user", str(user.pk))}
