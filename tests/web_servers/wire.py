"""Requests byte by byte, also such as no client would send."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

from tests.web_servers.servers import Site

SESSION_HEADERS = ("x-ss-id", "x-ss-pid", "x-ss-opt", "x-ss-opts")


@dataclass(frozen=True)
class Reply:
    """What came back; a server that hangs up without a word has status 0."""

    status: int
    headers: list[tuple[str, str]]
    body: str

    def __getitem__(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    @property
    def said(self) -> Any:
        """What the view said of the session."""
        return json.loads(self.body)

    @property
    def user(self) -> str:
        """Whose session it was, by Django or by the session; nobody's if the request was refused."""
        return self.said["user"] or self.said["user_of_session"] if self.status == 200 else ""


def ask(site: Site, *lines: str, path: str = "/api/who/", method: str = "GET", body: str = "") -> Reply:
    """One request with these header lines, in this order, as they are."""
    head = [f"{method} {path} HTTP/1.1", f"Host: {site.address}", "Connection: close", *lines]
    if body:
        head += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as connection:
        response = HTTPResponse(connection, method=method)
        try:
            connection.sendall("\r\n".join([*head, "", body]).encode("latin-1"))
            response.begin()
            return Reply(response.status, response.getheaders(), response.read().decode())
        except ConnectionError:
            return Reply(0, [], "")
        finally:
            response.close()


def presentations(token: str) -> Mapping[str, list[str]]:
    """The header lines of every way there is to show a token."""
    return {
        "temporary cookie": [f"Cookie: ss-id={token}"],
        "temporary cookie, said to be so": [f"Cookie: ss-id={token}; ss-opt=temp"],
        "permanent cookie": [f"Cookie: ss-pid={token}; ss-opt=perm"],
        "both cookies": [f"Cookie: ss-id={token}; ss-pid={token}; ss-opt=perm"],
        "temporary header": [f"X-ss-id: {token}"],
        "temporary header, said to be so": [f"X-ss-id: {token}", "X-ss-opt: temp"],
        "permanent header": [f"X-ss-pid: {token}", "X-ss-opt: perm"],
        "permanent header, spelled otherwise": [f"X-ss-pid: {token}", "X-ss-opts: perm"],
    }


def shown(site: Site, token: str) -> dict[str, str]:
    """Whose session the token opens, by how it is shown; that of a visitor who has not signed in is `anonymous`'s.

    A cookie that opens nothing makes an anonymous visitor, and such a header is refused.
    """
    found: dict[str, str] = {}
    for how, lines in presentations(token).items():
        reply = ask(site, *lines)
        assert token not in reply.body
        if "header" in how:
            assert not reply["Set-Cookie"]
            assert reply.status == 401 or (reply.status == 200 and reply.said["status"] == "live"), reply
        else:
            assert not [name for name in SESSION_HEADERS if reply[name]]
            assert reply.status == 200, reply
        if reply.status == 200 and reply.said["status"] == "live":
            found[how] = reply.user or "anonymous"
        else:
            assert reply.user == ""
    return found
