"""Where a request comes from, behind proxies and past them."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from typed_sessions import addresses, conf, live_sessions
from typed_sessions.addresses import address_of, spelled
from typed_sessions.middleware import TypedSessionMiddleware
from typed_sessions.models import StoredSession

if TYPE_CHECKING:
    from django.http import HttpRequest
    from pytest_django import Settings

PROXY, OTHER_PROXY, VISITOR, MADE_UP = "10.0.0.7", "10.9.9.9", "203.0.113.9", "198.51.100.1"


def asked(remote: object, *forwarded: str) -> str:
    """The address of a request from ``remote``, with these lines of ``X-Forwarded-For``."""
    request = RequestFactory().get("/", REMOTE_ADDR=remote)
    if forwarded:
        request.META["HTTP_X_FORWARDED_FOR"] = ",".join(forwarded)  # as WSGI servers join them
    return address_of(request)


@pytest.fixture
def trust(settings: Settings) -> Any:
    """`trust("10.0.0.0/8", ...)` sets `TRUSTED_PROXIES`."""

    def set_to(*networks: str) -> None:
        settings.TYPED_SESSIONS = {**settings.TYPED_SESSIONS, "TRUSTED_PROXIES": networks}

    set_to("10.0.0.0/8", "2001:db8::/32")
    return set_to


@pytest.mark.parametrize("remote", [PROXY, "", "unix:", "testserver", "10.0.0.7:80", "2001:db8::7", "fe80::1%eth0"])
def test_without_proxies_it_is_the_address_of_the_connection(remote: str) -> None:
    """As the server says it, whatever that is, and whatever the visitor says."""
    assert asked(remote, MADE_UP) == remote


def test_a_request_without_an_address_has_none() -> None:
    """As servers on Unix sockets make them."""
    request = RequestFactory().get("/", headers={"X-Forwarded-For": MADE_UP})
    del request.META["REMOTE_ADDR"]
    assert address_of(request) == ""


@pytest.mark.parametrize(
    ("remote", "address"),
    [("::ffff:203.0.113.9", VISITOR), ("::FFFF:cb00:7109", VISITOR), ("2001:DB8:0:0::7", "2001:db8::7")],
)
def test_an_address_of_a_connection_is_written_in_one_way(remote: str, address: str) -> None:
    """A server on IPv6 wraps IPv4, and a session is found by the plain address."""
    assert asked(remote) == spelled(remote) == address
    assert spelled(address) == address


def test_what_is_no_address_has_no_spelling() -> None:
    """Who searches by it finds nothing."""
    assert [spelled(text) for text in ("", "testserver", "203.0.113.9:80", "203.0.113.09", "::g")] == [None] * 5


def test_nothing_is_parsed_without_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not need it pays nothing for it."""
    monkeypatch.setattr(addresses, "ip_address", pytest.fail)
    assert asked(PROXY, MADE_UP) == PROXY


def test_networks_are_parsed_once(trust: Any) -> None:
    """And again when the setting changes."""
    addresses._networks.cache_clear()
    assert [asked(PROXY, VISITOR) for _ in range(5)] == [VISITOR] * 5
    assert addresses._networks.cache_info().misses == 1
    trust("192.0.2.0/24")
    assert asked(PROXY, VISITOR) == PROXY


def test_behind_a_proxy_it_is_whom_the_proxy_was_asked_by(trust: Any) -> None:
    """The last entry, which the proxy has written."""
    assert asked(PROXY, VISITOR) == VISITOR
    assert asked("2001:db8::1", VISITOR) == VISITOR


def test_a_proxy_that_tells_nothing_is_the_visitor(trust: Any) -> None:
    """Nobody else is known."""
    assert asked(PROXY) == PROXY


def test_behind_several_proxies_it_is_the_last_one_that_is_none(trust: Any) -> None:
    """Each adds whom it was asked by, in one line or in several."""
    assert asked(PROXY, f"{VISITOR}, {OTHER_PROXY}, 2001:db8::7") == VISITOR
    assert asked(PROXY, VISITOR, OTHER_PROXY, "2001:db8::7") == VISITOR


def test_lines_of_the_header_arrive_in_their_order_by_asgi(trust: Any) -> None:
    """Where Django itself joins them."""
    scope: Any = AsyncRequestFactory().get("/").scope
    lines = [(b"x-forwarded-for", line.encode()) for line in (MADE_UP, VISITOR, OTHER_PROXY)]
    request = ASGIRequest({**scope, "client": [PROXY, 1], "headers": [*scope["headers"], *lines]}, BytesIO())
    assert address_of(request) == VISITOR


@pytest.mark.parametrize(
    "written", [MADE_UP, f"{MADE_UP}, {PROXY}", "127.0.0.1", "unknown", "<script>", ", ,,", "[", "9" * 8000]
)
def test_what_a_visitor_writes_is_not_looked_at(trust: Any, written: str) -> None:
    """It is to the left of what the first proxy adds."""
    assert asked(PROXY, f"{written}, {VISITOR}, {OTHER_PROXY}") == VISITOR


def test_who_comes_past_the_proxies_is_where_they_come_from(trust: Any) -> None:
    """The header of somebody else is worth nothing."""
    assert asked(VISITOR, MADE_UP) == VISITOR
    assert asked("localhost", MADE_UP) == "localhost"


def test_a_visitor_inside_the_networks_is_the_first_of_the_header(trust: Any) -> None:
    """Such as a health check, or a colleague."""
    assert asked(PROXY, f"10.1.1.1, {OTHER_PROXY}") == "10.1.1.1"


@pytest.mark.parametrize(
    ("told", "address"),
    [
        (f" {VISITOR} ", VISITOR),
        (f"{VISITOR}:4711", VISITOR),
        (f"::ffff:{VISITOR}", VISITOR),
        (f"[::ffff:{VISITOR}]:4711", VISITOR),
        ("2001:DB9:0:0::7", "2001:db9::7"),
        ("[2001:db9::7]", "2001:db9::7"),
        ("[2001:db9::7]:443", "2001:db9::7"),
    ],
)
def test_an_address_is_written_in_one_way(trust: Any, told: str, address: str) -> None:
    """Proxies add ports and brackets, and wrap IPv4; a session is found by the plain address."""
    assert asked(PROXY, told) == address
    assert asked(PROXY, f"{MADE_UP}, {told}") == address


@pytest.mark.parametrize(
    "told", ["", " ", "unknown", "_hidden", "example.com", "203.0.113.9.9", "203.0.113", "[]:80", "1:2", "\x00"]
)
def test_an_entry_that_is_no_address_leaves_the_last_proxy(trust: Any, told: str) -> None:
    """What is before it may be by anybody."""
    assert asked(PROXY, f"{MADE_UP}, {told}") == PROXY
    assert asked(PROXY, f"{MADE_UP}, {told}, {OTHER_PROXY}") == OTHER_PROXY


@pytest.mark.parametrize("remote", ["::ffff:10.0.0.7", "10.0.0.7:5000"])
def test_a_proxy_is_known_by_its_plain_address(trust: Any, remote: str) -> None:
    """A server on IPv6 wraps those of IPv4."""
    assert asked(remote, VISITOR) == VISITOR


@pytest.mark.parametrize("remote", ["", "unix:"])
def test_a_unix_socket_is_trusted_if_it_is_named(trust: Any, remote: str) -> None:
    """It has no address that could be."""
    assert asked(remote, VISITOR) == remote
    trust("unix")
    assert asked(remote, f"{MADE_UP}, {VISITOR}") == VISITOR
    assert asked(remote) == remote
    assert asked(PROXY, VISITOR) == PROXY


def test_a_request_made_by_hand_may_hold_anything(trust: Any) -> None:
    """Also what is no text at all."""
    assert asked(None, MADE_UP) is None


@given(left=st.text(max_size=40), port=st.integers(0, 65535), hops=st.lists(st.sampled_from([PROXY, OTHER_PROXY])))
def test_nobody_can_write_another_address(left: str, port: int, hops: list[str]) -> None:
    """Whatever a visitor sends, the address is the one that the first proxy has seen."""
    header = ", ".join([left, f"{VISITOR}:{port}", *hops])
    request = RequestFactory().get("/", REMOTE_ADDR=PROXY)
    request.META["HTTP_X_FORWARDED_FOR"] = header
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conf, "settings", lambda: conf.Settings(trusted_proxies=["10.0.0.0/8"]))
        assert address_of(request) == VISITOR


def visit(cookie: str = "") -> str:
    """A visit from behind a proxy that stores something, and the cookie it leaves with."""

    def view(request: HttpRequest) -> HttpResponse:
        request.session["tab"] = "offers"
        return HttpResponse()

    headers = {"X-Forwarded-For": f"{MADE_UP}, {VISITOR}", "Cookie": cookie}
    request = RequestFactory().get("/", REMOTE_ADDR=PROXY, headers=headers)
    response = TypedSessionMiddleware(view)(request)
    return str(response.cookies["ss-id"].OutputString().partition(";")[0])


@pytest.mark.django_db
def test_a_session_keeps_the_address_of_its_visitor(trust: Any) -> None:
    """And not that of the proxy, by which nobody would be found."""
    visit()
    (session,) = live_sessions.recent(limit=10)
    assert session.client_info is not None
    assert session.client_info.address == VISITOR


@pytest.mark.django_db
def test_the_log_of_a_loss_has_the_address_of_the_visitor(trust: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Who reads it wants to know whom it has hit."""
    cookie = visit()
    StoredSession.objects.all().delete()
    visit(cookie)
    (told,) = (record.getMessage() for record in caplog.records if "is lost" in record.getMessage())
    assert told.endswith(f"from {VISITOR}.")
