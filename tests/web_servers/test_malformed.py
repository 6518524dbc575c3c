"""Requests that no honest client sends, as bytes: refused or anonymous, never somebody's, never an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http.client import HTTPConnection

import pytest

from tests.web_servers.clients import ApiClient, Browser, Client
from tests.web_servers.servers import Site
from tests.web_servers.wire import SESSION_HEADERS, Reply, ask
from typed_sessions import tokens

pytestmark = pytest.mark.parametrize("site", ["gunicorn", "uvicorn", "runserver"], indirect=True)

Tokens = Mapping[str, str]
Lines = tuple[str, ...]

NAMES = ("ada", "grace", "robin", "alex")
"""Two with temporary tokens, two with permanent ones."""

JUNK = "j" * 7000
"""As much as every server passes on."""

REFUSED: dict[str, Lines] = {
    "two users' tokens": ("X-ss-id: {ada}", "X-ss-id: {grace}"),
    "one token twice": ("X-ss-id: {ada}", "X-ss-id: {ada}"),
    "two capitalisations": ("X-ss-id: {ada}", "x-SS-ID: {grace}"),
    "a token and nothing": ("X-ss-id: {ada}", "X-ss-id:"),
    "nothing and a token": ("X-ss-id:", "X-ss-id: {ada}"),
    "a list of tokens": ("X-ss-id: {ada}, {grace}",),
    "two permanent tokens": ("X-ss-opt: perm", "X-ss-pid: {robin}", "X-ss-pid: {alex}"),
    "option twice": ("X-ss-opt: perm", "X-ss-opt: perm", "X-ss-pid: {robin}"),
    "option with and without s, permanent": ("X-ss-opt: perm", "X-ss-opts: temp", "X-ss-pid: {robin}"),
    "option with and without s, temporary": ("X-ss-opt: temp", "X-ss-opts: perm", "X-ss-id: {ada}"),
    "option with and without s, both tokens": ("X-ss-opts: perm", "X-ss-opt:", "X-ss-id: {ada}", "X-ss-pid: {robin}"),
    "option with and without s, no token": ("X-ss-opt: temp", "X-ss-opts: perm"),
    "permanent token without option": ("X-ss-pid: {robin}",),
    "option by cookie": ("X-ss-pid: {robin}", "Cookie: ss-opt=perm"),
    "option with underscores": ("X-ss-pid: {robin}", "X_ss_opt: perm"),
    "option in capitals": ("X-ss-pid: {robin}", "X-ss-opt: PERM"),
    "option with more": ("X-ss-pid: {robin}", "X-ss-opt: perm,temp"),
    "permanent token as temporary": ("X-ss-id: {robin}",),
    "temporary token as permanent": ("X-ss-opt: perm", "X-ss-pid: {ada}"),
    "option without its token": ("X-ss-opt: perm", "X-ss-id: {ada}"),
    "nothing": ("X-ss-id:",),
    "nothing, and a good cookie": ("X-ss-id:", "Cookie: ss-id={ada}"),
    "junk, and a good cookie": ("X-ss-id: junk", "Cookie: ss-id={ada}"),
    "much junk": (f"X-ss-id: {JUNK}",),
    "much junk as permanent": (f"X-ss-pid: {JUNK}", "X-ss-opt: perm"),
    "much junk as option": (f"X-ss-opt: {JUNK}", "X-ss-pid: {robin}"),
    "a token and junk": ("X-ss-id: {ada}" + JUNK,),
    "a token and a letter": ("X-ss-id: {ada}x",),
    "a quoted token": ('X-ss-id: "{ada}"',),
    "a scheme": ("X-ss-id: Bearer {ada}",),
    "an id": ("X-ss-id: {id_of_ada}",),
    "a pattern": ("X-ss-id: *",),
    "not ASCII": ("X-ss-id: é\xff{ada}",),
}
"""Headers that are answered 401 wherever the session is used."""

ANONYMOUS: dict[str, Lines] = {
    "underscores": ("X_ss_id: {ada}",),
    "one underscore": ("X-ss_id: {ada}",),
    "underscores in capitals": ("X_SS_ID: {ada}",),
    "underscores, permanent": ("X_ss_pid: {robin}", "X_ss_opt: perm"),
    "no prefix": ("ss-id: {ada}",),
    "cookie twice": ("Cookie: ss-id={ada}; ss-id={grace}",),
    "cookie twice, apart": ("Cookie: ss-id={ada}; theme=dark; ss-id={grace}",),
    "cookie twice, with spaces": ("Cookie: ss-id ={ada}; ss-id\t={grace}",),
    "cookie twice, one with a space": ("Cookie: ss-id={ada}; ss-id ={grace}",),
    "cookie twice, one empty": ("Cookie: ss-id={ada}; ss-id=",),
    "cookie twice, one junk": ("Cookie: ss-id=junk; ss-id={ada}",),
    "cookie in two lines": ("Cookie: ss-id={ada}", "Cookie: ss-id={grace}"),
    "cookie in two lines, permanent": ("Cookie: ss-opt=perm; ss-pid={robin}", "Cookie: ss-pid={alex}"),
    "cookie with a comma": ("Cookie: ss-id={ada}, ss-id={grace}",),
    "permanent cookie twice": ("Cookie: ss-pid={robin}; ss-pid={alex}; ss-opt=perm",),
    "option cookie twice": ("Cookie: ss-id={ada}; ss-pid={robin}; ss-opt=temp; ss-opt=perm",),
    "cookie in capitals": ("Cookie: SS-ID={ada}",),
    "cookie with underscore": ("Cookie: ss_id={ada}",),
    "cookie without name": ("Cookie: =ss-id={ada}",),
    "value alone": ("Cookie: {ada}",),
    "permanent token as temporary": ("Cookie: ss-id={robin}",),
    "temporary token as permanent": ("Cookie: ss-pid={ada}; ss-opt=perm",),
    "permanent token without option": ("Cookie: ss-pid={robin}",),
    "junk": (f"Cookie: ss-id={JUNK}",),
    "junk, permanent": (f"Cookie: ss-pid={JUNK}; ss-opt=perm",),
    "junk as option": (f"Cookie: ss-opt={JUNK}",),
    "a token and junk": ("Cookie: ss-id={ada}" + JUNK,),
    "an id": ("Cookie: ss-id={id_of_ada}",),
    "not ASCII": ("Cookie: ss-id=é\xff{ada}",),
}
"""What is no session header at all, and cookies: the visitor is nobody."""

UNPARSABLE: dict[str, Lines] = {
    "8 KiB of junk": ("X-ss-id: " + "j" * 8192,),
    "8 KiB of junk after a token": ("X-ss-id: {ada}" + " " * 8192 + "j",),
    "8 KiB of junk as option": ("X-ss-opt: " + "j" * 8192,),
    "8 KiB of junk in a cookie": ("Cookie: ss-id=" + "j" * 8192,),
    "8 KiB of junk before a cookie": ("Cookie: junk=" + "j" * 8192 + "; ss-id={ada}; ss-id={grace}",),
    "fifty lines": ("X-ss-id: {ada}",) * 50,
    "two hundred lines": ("X-ss-id: {ada}",) * 200,
    "a space before the colon": ("X-ss-id : {ada}",),
    "a tab before the colon": ("X-ss-id\t: {ada}",),
    "no colon": ("X-ss-id {ada}",),
    "a folded line": ("X-ss-id: {ada}\r\n {grace}",),
    "a line that ends otherwise": ("X-ss-id: {ada}\nX-ss-id: {grace}",),
    "a carriage return": ("X-ss-id: {ada}\rX-ss-id: {grace}",),
    "a zero byte": ("X-ss-id: {ada}\0",),
    "a zero byte in the name": ("X-ss-id\0: {ada}",),
    "a control character": ("X-ss-id: \x01{ada}",),
    "a zero byte in a cookie": ("Cookie: ss-id={ada}\0",),
}
"""What some servers turn away themselves."""

ACCEPTED: dict[str, tuple[str, Lines]] = {
    "token": ("ada", ("X-ss-id: {ada}",)),
    "any capitalisation": ("ada", ("x-SS-iD: {ada}",)),
    "spaces around": ("ada", ("X-ss-id:  {ada}  ",)),
    "option with s": ("robin", ("X-ss-pid: {robin}", "X-ss-opts: perm")),
    "option with and without s": ("robin", ("X-ss-pid: {robin}", "X-ss-opts: perm", "X-ss-opt: perm")),
    "header before cookie": ("ada", ("X-ss-id: {ada}", "Cookie: ss-id={grace}")),
    "header before permanent cookie": ("ada", ("X-ss-id: {ada}", "Cookie: ss-pid={robin}; ss-opt=perm")),
    "header before underscores": ("ada", ("X-ss-id: {ada}", "X_ss_id: {grace}")),
    "underscores before header": ("ada", ("X_ss_id: {grace}", "X-ss-id: {ada}")),
    "option without its cookie": ("ada", ("Cookie: ss-id={ada}; ss-opt=perm",)),
    "one cookie twice with one value": ("ada", ("Cookie: ss-id={ada}; ss-id={ada}",)),
    "cookie beside a repeated one of others": ("ada", ("Cookie: theme=a; theme=b; ss-id={ada}",)),
}
"""What is as good as it looks, and of whom: the others are turned away for what is wrong with them."""


@pytest.fixture(scope="module")
def signed_in() -> Iterator[dict[Site, Tokens]]:
    """The tokens of the four by name, on each site. Nothing that a test does signs them out."""
    sites: dict[Site, Tokens] = {}
    yield sites
    for site, victims in sites.items():
        for name in NAMES[:2]:
            assert ask(site, f"X-ss-id: {victims[name]}").user == name
        for name in NAMES[2:]:
            assert ask(site, f"Cookie: ss-pid={victims[name]}; ss-opt=perm").user == name


@pytest.fixture
def victims(site: Site, signed_in: dict[Site, Tokens]) -> Tokens:
    if site not in signed_in:
        signed_in[site] = _sign_in(site)
    return signed_in[site]


def _sign_in(site: Site) -> Tokens:
    found: dict[str, str] = {}
    kinds: list[type[Client]] = [ApiClient, Browser, Browser, ApiClient]
    for name, kind in zip(NAMES, kinds, strict=True):
        with kind(site, set()) as client:
            client.sign_up(name)
            client.sign_in(name, remember=name in NAMES[2:])
            found[name] = client.token
    return {**found, "id_of_ada": tokens.digest(found["ada"])}


def send(site: Site, lines: Lines, victims: Tokens, path: str = "/api/who/") -> Reply:
    """What the request with these lines is answered, without a token in it."""
    reply = ask(site, *(line.format_map(victims) for line in lines), path=path)
    is_ours = reply["X-Worker"]  # gunicorn's own page for a bad request repeats what is bad about it
    assert not [name for name in NAMES if is_ours and victims[name] in reply.body]
    assert not [name for name in SESSION_HEADERS if reply[name]]
    return reply


@pytest.mark.parametrize("what", REFUSED)
def test_s24_refused(site: Site, what: str, victims: Tokens) -> None:
    """Headers that are not one good token are answered 401, and no cookie; who needs no session does not notice."""
    reply = send(site, REFUSED[what], victims)
    assert (reply.status, reply["Set-Cookie"]) == (401, "")
    assert reply["WWW-Authenticate"]
    assert send(site, REFUSED[what], victims, path="/api/plain/").body == "plain"


@pytest.mark.parametrize("what", ANONYMOUS)
def test_s24_anonymous(site: Site, what: str, victims: Tokens) -> None:
    """Whatever is no session header does not count, and cookies that are not one good token make nobody signed in."""
    for path in ("/who/", "/api/who/"):
        reply = send(site, ANONYMOUS[what], victims, path)
        assert (reply.status, reply.user) == (200, "")
        assert reply.said["id"] is None
        if "twice" in what:
            assert reply.said["status"] == "rejected"


@pytest.mark.parametrize("what", UNPARSABLE)
def test_s24_unparsable(site: Site, what: str, victims: Tokens) -> None:
    """What is hardly a request is turned away by the server or by us."""
    reply = send(site, UNPARSABLE[what], victims)
    assert reply.user == ""
    assert reply.status in (0, 200, 400, 401, 431)


@pytest.mark.parametrize("what", ACCEPTED)
def test_s24_accepted(site: Site, what: str, victims: Tokens) -> None:
    """One good token opens its user's session, whatever else there is that does not count."""
    name, lines = ACCEPTED[what]
    assert send(site, lines, victims).user == name


FOREIGN: dict[str, Lines] = {
    "cross-site": ("Sec-Fetch-Site: cross-site",),
    "another origin": ("Origin: https://example.com",),
    "no origin to speak of": ("Origin: null",),
    "two origins": ("Origin: {origin}", "Origin: https://example.com"),
    "our origin on another port": ("Origin: http://127.0.0.1:1",),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_s26_page_of_another_site(site: Site, what: str, victims: Tokens) -> None:
    """A browser that says that a page of another site sends a token is answered 403."""
    around = {**victims, "origin": site.url}
    assert send(site, ("X-ss-id: {ada}", *FOREIGN[what]), around).status == 403
    for own in (("Sec-Fetch-Site: same-origin",), ("Sec-Fetch-Site: same-origin", "Origin: {origin}")):
        assert send(site, ("X-ss-id: {ada}", *own), around).user == "ada"


@pytest.mark.parametrize("header", ["X-ss-opt: temp", "X-ss-opts: temp", "X-ss-id: junk", "X-ss-id:", "X_ss_opt: temp"])
def test_s35_header_lends_a_form_nothing_of_the_cookie(site: Site, header: str, victims: Tokens) -> None:
    """A header that spares the CSRF token spares the cookie too: a foreign form changes nothing."""
    cookie = f"Cookie: ss-id={victims['ada']}"
    for path in ("/api/cart/", "/cart/", "/api/sign-out/", "/sign-out/"):
        reply = ask(site, cookie, header, path=path, method="POST", body="sku=planted")
        assert reply.user == ""
        assert reply.status in ((200, 401) if path.startswith("/api/") and "X-ss" in header else (403,))
    assert ask(site, cookie, path="/who/").said["cart"] == []


def test_one_connection_serves_many(site: Site, victims: Tokens) -> None:
    """Of requests that follow each other on a connection, none has anything of the one before."""
    sequence: list[tuple[str, dict[str, str]]] = [
        ("ada", {"X-ss-id": victims["ada"]}),
        ("grace", {"Cookie": f"ss-id={victims['grace']}"}),
        ("", {}),
        ("robin", {"X-ss-pid": victims["robin"], "X-ss-opt": "perm"}),
        ("", {"X-ss-opt": "temp"}),
        ("", {"Cookie": "ss-opt=perm"}),
        ("ada", {"Cookie": f"ss-id={victims['ada']}"}),
    ]
    connection = HTTPConnection("127.0.0.1", site.port, timeout=20)
    for name, headers in sequence:
        connection.request("GET", "/api/who/", headers=headers)
        response = connection.getresponse()
        assert Reply(response.status, response.getheaders(), response.read().decode()).user == name
    connection.close()
