"""What user agents say of browsers, systems and devices."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.utils import translation

from typed_sessions.admin.devices import LONGEST, Device, Kind, device_of

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"

PEOPLE = [
    ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox 140 on Linux", Kind.DESKTOP),
    (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0",
        "Edge 139 on Windows",
        Kind.DESKTOP,
    ),
    (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {APPLE} Version/18.5 Safari/605.1.15",
        "Safari 18 on macOS",
        Kind.DESKTOP,
    ),
    (
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/139.0.0.0 Safari/537.36",
        "Chrome 139 on ChromeOS",
        Kind.DESKTOP,
    ),
    (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {APPLE} Version/18.5 Mobile/15E148 Safari/604.1",
        "Safari 18 on iOS",
        Kind.PHONE,
    ),
    (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {APPLE} CriOS/126.0 Mobile/15E148 Safari/604.1",
        "Chrome 126 on iOS",
        Kind.PHONE,
    ),
    (
        f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/139.0.0.0 Mobile Safari/537.36",
        "Chrome 139 on Android",
        Kind.PHONE,
    ),
    ("ShopApp/3.2 (Android 14)", "Android", Kind.PHONE),
    (
        f"Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) {APPLE} Version/17.5 Mobile/15E148 Safari/604.1",
        "Safari 17 on iOS",
        Kind.TABLET,
    ),
    (
        f"Mozilla/5.0 (Linux; Android 14; SM-X710) {WEBKIT} Chrome/139.0.0.0 Safari/537.36",
        "Chrome 139 on Android",
        Kind.TABLET,
    ),
    (
        "Mozilla/5.0 (Android 15; Tablet; rv:140.0) Gecko/140.0 Firefox/140.0",
        "Firefox 140 on Android",
        Kind.TABLET,
    ),
    (
        "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/6.0 TV Safari/537.36",
        "Safari 6 on Tizen",
        Kind.UNKNOWN,
    ),
    (f"Mozilla/5.0 (PlayStation; PlayStation 5/2.26) {APPLE} Version/13.0 Safari/605.1.15", "Safari 13", Kind.UNKNOWN),
]
PROGRAMS = [
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot 2"),
    (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/139.0.0.0 Safari/537.36", "HeadlessChrome 139 on Linux"),
    ("curl/8.5.0", "curl 8"),
    ("python-shopcheck/0.28", "python-shopcheck/0.28"),
]


@pytest.mark.parametrize(("agent", "text", "kind"), PEOPLE)
def test_a_person_is_at_a_known_kind_of_device(agent: str, text: str, kind: Kind) -> None:
    """Browser with its major version, system, and what it runs on; no version of the system, which is often made up."""
    device = device_of(agent)
    assert (device.text, device.kind) == (text, kind)


@pytest.mark.parametrize(("agent", "text"), PROGRAMS)
def test_a_program_is_a_bot(agent: str, text: str) -> None:
    """Crawlers and the libraries that scripts are written with are nobody's device."""
    device = device_of(agent)
    assert (device.text, device.kind) == (text, Kind.BOT)


def test_no_agent_is_an_unknown_device_without_text() -> None:
    """A visitor may send none at all."""
    assert device_of("") == Device()
    assert device_of("").text == ""


def test_an_agent_that_says_nothing_is_shown_as_it_came() -> None:
    """What nobody knows stays readable, and its beginning is enough in a list."""
    assert device_of("Shop checkout terminal").text == "Shop checkout terminal"
    device = device_of("a" * 100)
    assert (device.text, device.agent) == ("a" * 60 + "…", "a" * 100)


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (Linux; Android " + "9" * 300_000,
        "\x00\xff\x1b[2J\u202e\ud800" * 40,
        "Android" * 100,
        "; ;" * 100 + "Build/",
        "(" * 300,
        "Mozilla/5.0 (compatible; " + "a-" * 200,
        "<script>alert(1)</script>",
        "%s %(browser)s {0} $1 \\1",
    ],
)
def test_a_hostile_agent_is_some_device(agent: str) -> None:
    """Whatever is sent is shown, and no more of it is looked at than is stored."""
    device = device_of(agent)
    assert device.agent == agent[:LONGEST]
    assert len(device.text) <= LONGEST


def test_an_agent_that_breaks_the_library_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's patterns are data, and one that raises costs the words, not the page."""

    def broken(agent: str) -> object:
        raise ValueError(f"Unable to find OS family in {agent}")

    monkeypatch.setattr("ua_parser.parse", broken)
    assert device_of("an agent that nothing has asked for before") == Device(
        agent="an agent that nothing has asked for before"
    )


def test_the_words_are_translated_when_they_are_shown() -> None:
    """What is remembered of an agent is the same for readers of all languages."""
    agent = PEOPLE[0][0]
    with translation.override("de"):
        first = device_of(agent)
    assert device_of(agent) is first
    assert device_of(agent).text == "Firefox 140 on Linux"


def test_the_library_is_loaded_by_the_first_agent() -> None:
    """A site that shows no sessions never loads the patterns."""
    script = """
import sys, django
from django.conf import settings
apps = ["admin", "auth", "contenttypes", "messages", "sessions"]
settings.configure(INSTALLED_APPS=[*(f"django.contrib.{app}" for app in apps), "typed_sessions"])
django.setup()
from typed_sessions.admin import sessions, users, devices
assert "ua_parser" not in sys.modules
devices.device_of("curl/8")
assert "ua_parser" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
