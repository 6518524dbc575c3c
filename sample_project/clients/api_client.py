#!/usr/bin/env python
"""A client of the shop's API: signs in, looks round, ends its other sessions, signs out, and tells what it does.

Start the shop in one terminal, and this in another:

    python manage.py demo
    python sample_project/clients/api_client.py

A session travels in one of two ways. A client with a cookie jar is treated as a browser is: it gets cookies, and
repeats the CSRF token in a header whenever it changes something. A client that announces itself by the header X-ss-opt
gets its token in a header (X-ss-id, or X-ss-pid if it is to be remembered), sends it back in the same header, and needs
neither cookies nor CSRF tokens. By default, this one goes both ways, one after the other:

    python sample_project/clients/api_client.py --by cookies
    python sample_project/clients/api_client.py --by headers --username admin --password demo-admin
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

try:
    import requests
except ImportError:
    raise SystemExit("This client needs requests. Install it: pip install requests") from None

SITE = "http://127.0.0.1:8000"
SECONDS = 10


class Client:
    """Asks for JSON, and tells of each call in one line. The two classes below know how to say whose session it is."""

    way = ""

    def __init__(self, site: str) -> None:
        self.api = f"{site.rstrip('/')}/api/"
        self.http = requests.Session()
        self.http.headers.update({"Accept": "application/json", "User-Agent": f"api-client by {self.way}/1.0"})

    def call(self, method: str, route: str, data: dict[str, Any] | None = None) -> Any:
        response = self.http.request(
            method, self.api + route, json=data, headers=self.credentials(method), timeout=SECONDS
        )
        self.remember(response)
        say(f"  {method:<6} /api/{route:<10} {response.status_code}")
        if not response.ok:
            raise Refused(f"{response.status_code} {told_by(response)}")
        return response.json() if response.content else None

    def credentials(self, method: str) -> dict[str, str]:
        """Headers by which the server knows whose request it is."""
        raise NotImplementedError

    def remember(self, response: requests.Response) -> None:
        """Called with each answer, as each may bring new credentials."""


class ByCookies(Client):
    way = "cookies"

    def __init__(self, site: str) -> None:
        super().__init__(site)
        self.call("GET", "session/")  # brings the first CSRF cookie; the sign-in brings a new one

    def credentials(self, method: str) -> dict[str, str]:
        if method == "GET":
            return {}
        # Over HTTPS, Django wants to know as well which page the request comes from.
        return {"X-CSRFToken": self.http.cookies.get("csrftoken") or "", "Referer": self.api}


class ByHeaders(Client):
    way = "headers"

    def __init__(self, site: str) -> None:
        super().__init__(site)
        self.sent = {"X-ss-opt": "temp"}  # no token yet: says that tokens are to come by header

    def credentials(self, method: str) -> dict[str, str]:
        return self.sent

    def remember(self, response: requests.Response) -> None:
        told = {name: response.headers[name] for name in ("X-ss-id", "X-ss-pid") if name in response.headers}
        if told:  # at sign-in, say; the option that comes with the token tells which of the two it is
            self.sent = {**told, "X-ss-opt": response.headers["X-ss-opt"]}


class Refused(Exception):
    """The server has said no."""


def visit(client: Client, username: str, password: str) -> None:
    say("A visitor puts something into the cart:")
    cart = client.call("POST", "cart/", {"sku": "harbour-mug", "quantity": 2})
    say(f"         {in_cart(cart)}")

    say("Signs in, to be remembered:")
    session = client.call("POST", "sign-in/", {"username": username, "password": password, "remember": True})
    say(f"         as {session['display_name']}, until {session['expires_at']}, mode {session['mode']}")

    say("The cart came along:")
    say(f"         {in_cart(client.call('GET', 'cart/'))}")

    say("Reads the session, and changes the one field that the shop lets clients change:")
    session = client.call("GET", "session/")
    say(f"         roles {', '.join(session['roles'])}; currency {session['currency']}")
    other = "USD" if session["currency"] == "EUR" else "EUR"
    session = client.call("PATCH", "session/", {"currency": other})
    say(f"         currency {session['currency']}: {in_cart(client.call('GET', 'cart/'))}")

    say("Where else is this customer signed in?")
    for device in client.call("GET", "sessions/"):
        this = "  <- this client" if device["is_current"] else ""
        say(f"         {device['mode']}  last seen {device['last_seen_at']}  {device['user_agent'][:60]}{this}")
    say("Signs out there:")
    say(f"         {client.call('DELETE', 'sessions/')['ended']} ended")

    say("Signs out here:")
    client.call("POST", "sign-out/")
    say("And is nobody any more:")
    try:
        client.call("GET", "sessions/")
    except Refused as refused:
        say(f"         {refused}")


def in_cart(cart: Any) -> str:
    things = ", ".join(f"{line['quantity']} x {line['name']}" for line in cart["lines"])
    return f"{things or 'nothing'}: {cart['total']} {cart['currency']}"


def told_by(response: requests.Response) -> str:
    try:
        told = response.json()
    except requests.JSONDecodeError:
        return response.reason
    return str(told["detail"]) if "detail" in told else json.dumps(told)


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # it is a program for the terminal


def main() -> None:
    summary, _, more = str(__doc__).partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--site", default=SITE, help=f"where the shop is served (default: {SITE})")
    parser.add_argument("--by", choices=["cookies", "headers", "both"], default="both", help="how the session travels")
    parser.add_argument("--username", default="customer")
    parser.add_argument("--password", default="demo-customer")
    asked = parser.parse_args()
    try:
        for way in (ByCookies, ByHeaders):
            if asked.by not in (way.way, "both"):
                continue
            say(f"\n== By {way.way} ==")
            visit(way(asked.site), asked.username, asked.password)
    except Refused as refused:
        sys.exit(f"The shop says no: {refused}")
    except (requests.ConnectionError, requests.Timeout):
        sys.exit(f"No answer from {asked.site}. Is the shop served there, by manage.py demo?")
    except requests.RequestException as error:  # such as an address that is none
        sys.exit(str(error))


if __name__ == "__main__":
    main()
