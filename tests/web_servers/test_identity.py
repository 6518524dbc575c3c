"""Signing in and out over the network, by cookie and by header, on the servers that projects are deployed on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.servers.process import wait_until
from tests.web_servers.clients import (
    HEADER_ID,
    HEADER_OPT,
    HEADER_PID,
    ID,
    OPT,
    PID,
    ApiClient,
    Browser,
    Client,
    Visitors,
    cookies_of,
)
from tests.web_servers.servers import Site
from tests.web_servers.wire import Reply, ask, presentations, shown

FOUR_WEEKS = 28 * 24 * 3600
OPENS_TEMPORARY = {how for how in presentations("") if how.startswith("temporary")}
OPENS_PERMANENT = {how for how in presentations("") if not how.startswith("temporary")}


class TestByCookie:
    def test_sign_in_tells_a_new_temporary_cookie(self, browser: Browser) -> None:
        """Who looks gets no cookie; a cart gets one until the browser closes; signing in gets another, and the cart."""
        name = browser.sign_up()
        assert browser.user == ""
        assert browser.ours == {}
        browser.add_to_cart("anonymous")
        assert set(browser.ours) == {ID}
        before = browser.token

        answer = browser.sign_in(name)

        assert answer.json()["user"] == answer.json()["user_of_session"] == name
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert set(cookies_of(answer)) == {"csrftoken", ID, OPT}
        assert browser.token != before
        assert browser.cookies[OPT] == "temp"
        assert browser.user == name
        assert browser.who()["cart"] == ["anonymous"]
        assert shown(browser.site, before) == {}

    def test_session_ends_with_the_browser(self, browser: Browser) -> None:
        """Not remembered, a browser that was closed is anonymous."""
        browser.sign_in(browser.sign_up())
        browser.restart()
        assert set(browser.ours) == {OPT}
        assert browser.user == ""

    def test_remembered_session_outlives_the_browser(self, browser: Browser) -> None:
        """Remembered, the permanent cookie opens the session for four weeks, and the temporary one opens nothing."""
        name = browser.sign_up()
        browser.sign_in(name, remember=True)
        lifetimes = {cookie.name: cookie.expires for cookie in browser.http.cookies}
        assert lifetimes[ID] is None
        assert lifetimes[PID] == lifetimes[OPT]
        assert shown(browser.site, browser.ours[ID]) == {}

        browser.restart()

        assert set(browser.ours) == {PID, OPT}
        assert browser.user == name
        assert browser.who()["mode"] == "perm"

    def test_s41_our_cookies_are_for_the_server_alone(self, browser: Browser) -> None:
        """Each is HttpOnly, SameSite and for the whole site; a lasting one says for how long."""
        answer = browser.sign_in(browser.sign_up(), remember=True)
        for line in answer.raw.headers.getlist("Set-Cookie"):
            name, _, attributes = line.partition("=")
            if name in (ID, PID, OPT):
                assert "; HttpOnly" in attributes
                assert "; Path=/" in attributes
                assert "; SameSite=Lax" in attributes
                assert (f"; Max-Age={FOUR_WEEKS}" in attributes) is (name != ID)

    def test_s23_it_is_never_told_a_header(self, browser: Browser) -> None:
        """Cookies count where headers may, and who comes with cookies is answered with cookies there too."""
        browser.prefix = "/api"
        name = browser.sign_up()
        browser.add_to_cart("a")
        browser.sign_in(name)
        browser.sign_in(name, remember=True)
        assert set(browser.ours) == {ID, PID, OPT}
        assert browser.user == name
        browser.sign_out()
        assert browser.user == ""

    def test_sign_out_deletes_every_cookie(self, browser: Browser) -> None:
        """Nothing of ours stays in the browser, whichever way it had signed in."""
        name = browser.sign_up()
        for remember in (False, True):
            browser.sign_in(name, remember)
            browser.sign_out()
            assert browser.ours == {}
            assert browser.user == ""

    def test_s03_dead_token_is_not_adopted(self, browser: Browser) -> None:
        """Whoever keeps the cookies past the sign-out is anonymous, and the next cart has another token."""
        browser.sign_in(browser.sign_up())
        kept, dead = browser.http.cookies.copy(), browser.token
        browser.sign_out()
        browser.http.cookies = kept
        assert browser.user == ""
        browser.add_to_cart("a")
        assert browser.token != dead
        assert browser.who()["cart"] == ["a"]
        assert shown(browser.site, dead) == {}


class TestByHeader:
    def test_sign_in_tells_the_token_in_a_header(self, api_client: ApiClient) -> None:
        """Who has announced itself is told a token as soon as there is one, and a new one at sign-in."""
        name = api_client.sign_up()
        assert api_client.user == ""
        assert api_client.tokens == {HEADER_OPT: "temp"}
        api_client.add_to_cart("anonymous")
        assert set(api_client.tokens) == {HEADER_ID, HEADER_OPT}
        before = api_client.token

        answer = api_client.sign_in(name)

        assert answer.json()["user"] == answer.json()["user_of_session"] == name
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert answer.headers[HEADER_ID] == api_client.token != before
        assert answer.headers[HEADER_OPT] == "temp"
        assert HEADER_PID not in answer.headers
        assert api_client.user == name
        assert api_client.who()["cart"] == ["anonymous"]
        assert shown(api_client.site, before) == {}

    def test_remembered_token_comes_in_its_own_header(self, api_client: ApiClient) -> None:
        """Remembered, the token is told in X-ss-pid, and counts only with X-ss-opt: perm."""
        name = api_client.sign_up()
        answer = api_client.sign_in(name, remember=True)

        assert answer.headers[HEADER_PID] == api_client.token
        assert answer.headers[HEADER_OPT] == "perm"
        assert HEADER_ID not in answer.headers
        assert api_client.user == name
        assert api_client.who()["mode"] == "perm"
        assert ask(api_client.site, f"X-ss-pid: {api_client.token}").status == 401

    def test_token_is_told_once(self, api_client: ApiClient) -> None:
        """An answer that changes nothing of the token does not repeat it."""
        api_client.sign_in(api_client.sign_up())
        answers = [api_client.ask("GET", "/who/"), api_client.add_to_cart("a")]
        assert not [name for answer in answers for name in answer.headers if name.lower().startswith("x-ss-")]

    def test_s23_no_cookie_comes(self, api_client: ApiClient) -> None:
        """Not one, not even Django's CSRF token, whatever a client does."""
        name = api_client.sign_up()
        answers = [
            api_client.add_to_cart("a"),
            api_client.sign_in(name),
            api_client.sign_in(name, remember=True),
            api_client.change_password("an even better one"),
            api_client.sign_out(),
            api_client.ask("GET", "/who/"),
        ]
        assert not [answer.url for answer in answers if "Set-Cookie" in answer.headers]

    def test_s20_ended_session_is_refused(self, api_client: ApiClient) -> None:
        """After signing out the token is answered 401, as JSON that says why and no cache keeps."""
        api_client.sign_in(api_client.sign_up())
        assert api_client.sign_out().status_code == 200

        answer = api_client.ask("GET", "/who/")

        assert answer.status_code == 401
        assert set(answer.json()) == {"detail", "code"}
        assert "WWW-Authenticate" in answer.headers
        assert "no-store" in answer.headers["Cache-Control"]
        assert api_client.ask("GET", "/plain/").status_code == 200
        assert api_client.add_to_cart("a").status_code == 401

    def test_client_can_begin_again(self, api_client: ApiClient) -> None:
        """Who forgets a dead token and announces itself anew signs in as the first time."""
        name = api_client.sign_up()
        api_client.sign_in(name)
        api_client.sign_out()
        api_client.forget()
        api_client.sign_in(name)
        assert api_client.user == name

    def test_s21_headers_count_under_their_paths_alone(self, api_client: ApiClient) -> None:
        """Elsewhere a live token in a header is nobody's."""
        api_client.sign_in(api_client.sign_up())
        reply = ask(api_client.site, f"X-ss-id: {api_client.token}", path="/who/")
        assert (reply.status, reply.user) == (200, "")


class TestBothWays:
    @pytest.mark.parametrize("remember", [False, True], ids=["temporary", "permanent"])
    def test_s07_live_token_opens_its_own_session(self, client: Client, remember: bool) -> None:
        """A token is good for every way that names its mode rightly, and for no other."""
        name = client.sign_up()
        client.sign_in(name, remember)
        opens = OPENS_PERMANENT if remember else OPENS_TEMPORARY
        assert shown(client.site, client.token) == dict.fromkeys(opens, name)

    def test_s13_wrong_password_changes_nothing(self, client: Client) -> None:
        """Neither an anonymous nor a signed-in session notices a sign-in that fails."""
        name = client.sign_up()
        client.add_to_cart("a")
        for remember in (False, True):
            token = client.token
            assert client.sign_in(name, not remember, password="wrong").status_code == 403
            assert client.token == token
            assert client.who()["cart"] == ["a"]
            client.sign_in(name, remember)
            assert client.token != token
        assert client.user == name

    def test_sign_out_ends_one_session(self, client: Client, visitors: Visitors) -> None:
        """The user's other sessions live on, and so do those of other users."""
        name = client.sign_up()
        others: list[Client] = [visitors.browser(), visitors.api_client()]
        for each in (client, *others):
            each.sign_in(name)
        stranger = visitors.browser()
        stranger.sign_in(stranger.sign_up())
        client.sign_out()
        assert client.user == ""
        assert [each.user for each in others] == [name, name]
        assert stranger.user

    def test_s58_password_change_ends_the_others(self, client: Client, visitors: Visitors) -> None:
        """The session it was changed in goes on with a new token, the user's others are over, and no one else's is."""
        name = client.sign_up()
        others: list[Client] = [visitors.browser(), visitors.browser(), visitors.api_client(), visitors.api_client()]
        for number, each in enumerate(others):
            each.sign_in(name, remember=bool(number % 2))
        stranger = visitors.api_client()
        stranger.sign_in(stranger.sign_up())
        client.sign_in(name, remember=True)
        before = client.token

        assert client.change_password("an even better one").status_code == 200

        assert client.user == name
        assert client.token != before
        for each, path in zip(others, ("/who/", "/session/", "/session/", "/who/"), strict=True):
            assert each.who(path)["user_of_session"] == ""
            assert each.user == ""
        for token in (before, *(each.token for each in others[2:])):
            assert shown(client.site, token) == {}
        assert stranger.user
        client.sign_out()
        client.forget()
        assert client.sign_in(name).status_code == 403
        assert client.sign_in(name, password="an even better one").status_code == 200


@pytest.mark.parametrize("site", ["gunicorn", "gunicorn-redis"], indirect=True)
@pytest.mark.parametrize("remember", [False, True], ids=["temporary", "permanent"])
def test_s57_sign_out_is_known_to_every_worker(client: Client, remember: bool) -> None:
    """A session that both processes have served is over in both as soon as one has signed it out."""
    name = client.sign_up()
    client.sign_in(name, remember)
    token, how = client.token, "permanent" if remember else "temporary"
    lines = presentations(token)[f"{how} {'cookie' if isinstance(client, Browser) else 'header'}"]
    assert {reply.user for reply in by_every_worker(client.site, *lines)} == {name}
    client.sign_out()
    assert {reply.user for reply in by_every_worker(client.site, *lines)} == {""}


def by_every_worker(site: Site, *lines: str) -> list[Reply]:
    """The same request again and again, until each process has answered it."""
    replies: list[Reply] = []

    def all_have_answered() -> bool:
        replies.append(ask(site, *lines))
        return len({reply["X-Worker"] for reply in replies}) == site.workers

    wait_until(all_have_answered, "an answer of every worker")
    return replies


def test_visitors_at_the_same_time_stay_apart(visitors: Visitors) -> None:
    """Eight at once, half of them by header, each find in their cart what they put there, and are who they are."""
    clients: list[Client] = [each for _ in range(4) for each in (visitors.browser(), visitors.api_client())]

    def shop(client: Client) -> str:
        name = client.sign_up()
        client.add_to_cart(name)
        client.sign_in(name, remember=clients.index(client) < 4)
        for _ in range(4):
            client.add_to_cart(name)
            assert client.user == name
        assert client.who()["cart"] == [name] * 5
        return name

    with ThreadPoolExecutor(len(clients)) as pool:
        names = list(pool.map(shop, clients))
    assert len({client.who()["id"] for client in clients}) == len(set(names)) == len(clients)


def test_s32_no_token_outlives_its_session(visitors: Visitors) -> None:
    """Of all tokens that visitors were given in every way to come and go, none opens anything once they have gone.

    Not as a cookie and not as a header, not as a temporary one and not as a permanent one.
    """
    site = visitors.site
    name = visitors.browser().sign_up()
    clients: list[Client] = [each for _ in range(4) for each in (visitors.browser(), visitors.api_client())]
    for number, client in enumerate(clients):
        client.add_to_cart("a")
        assert set(shown(site, client.token).values()) == {"anonymous"}
        client.sign_in(name, remember=number % 4 >= 2)
        assert set(shown(site, client.token).values()) == {name}
    for client in clients[:4]:  # of either kind, one each from temporary to permanent and back
        client.sign_in(name, remember=client.who()["mode"] == "temp")
        assert client.user == name
    clients[0].change_password("second")
    for client in clients[1:]:
        client.forget()
        client.sign_in(name, password="second", remember=client is clients[5])
    forgetful = visitors.browser()
    forgetful.sign_in(name, password="second")
    forgotten = forgetful.token
    forgetful.restart()
    forgetful.sign_in(name, password="second", remember=True)
    forgetful.restart()
    live = [*clients, forgetful]
    assert {client.user for client in live} == {name}

    for client in live[:4]:
        client.sign_out()
    clients[4].change_password("third")

    assert clients[4].user == name
    clients[4].sign_out()
    assert len(visitors.issued) > 30
    assert forgotten in visitors.issued
    for token in visitors.issued:
        assert shown(site, token) == {}
