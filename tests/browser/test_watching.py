"""Looking: the list, its filters and search, and the page of one session."""

from __future__ import annotations

import pytest

from tests.browser.devices import Device, Devices
from tests.browser.listing import HERE, Listing
from tests.browser.servers import Site

DESKTOP, CART = "203.0.113.250", "203.0.113.251"
"""Where they are."""


@pytest.fixture
def desktop(devices: Devices) -> Device:
    """Marta's other device."""
    desktop = devices.new(address=DESKTOP)
    desktop.enter("marta")
    return desktop


@pytest.fixture
def visitor(devices: Devices) -> Device:
    """Somebody who has put something into a cart."""
    visitor = devices.new(address=CART)
    visitor.look("/cart/")
    return visitor


def test_every_session_is_listed(devices: Devices, site: Site, visitor: Device) -> None:
    """Who signs in on two devices is there twice; each row tells the device and the address; the own one is marked."""
    for device in (devices.phone(), devices.new(address=DESKTOP)):
        device.sign_in("marta")
    operator = devices.new(javascript=site.redis is not None)
    operator.sign_in("ada", "/admin/login/?next=/admin/")
    operator.page.get_by_role("link", name="Live sessions").first.click()
    listing = Listing(operator.page)

    listing.wait_for(4)
    (own,) = [row for row in listing.rows() if HERE in row]
    assert "ada" in own
    somebody, somewhere, handy = (listing.row(address).inner_text() for address in (CART, DESKTOP, "192.0.2.44"))
    assert "anonymous" in somebody and "just now" in somebody
    assert "marta" in somewhere and "Firefox" in somewhere and "Windows" in somewhere
    assert "marta" in handy and "Safari" in handy and "iOS" in handy


def test_filters_leave_what_they_say(listing: Listing, phone: Device, visitor: Device) -> None:
    """One after the other narrows the list down, and "All" widens it again; the two of time exclude each other."""
    listing.open()
    listing.choose("anonymous")
    listing.wait_for(1)
    assert CART in listing.rows()[0]
    listing.choose("permanent")
    listing.wait_for(0)

    listing.choose("temporary")
    listing.choose("signed in")
    listing.wait_for(2)
    listing.choose("in the past 5 minutes")
    listing.wait_for(2)
    listing.choose("within an hour")
    listing.wait_for(0)
    assert "seen=" not in listing.page.url


def test_search_is_exact(listing: Listing, phone: Device, desktop: Device) -> None:
    """Names, e-mail addresses, addresses and ids are found as a whole."""
    listing.open().open_session(DESKTOP)
    session_id = listing.page.url.split("/")[-3]
    number_of = {
        "marta": 2,
        "MARTA@example.com": 2,
        "192.0.2.44": 1,
        session_id: 1,
        f"urn:iauthsession:{session_id}": 1,
    }
    for words, number in {**number_of, "mar": 0, "nobody": 0, "203.0.113.2": 0}.items():
        listing.open().search(words)
        listing.wait_for(number)
        assert listing.page.locator("#searchbar").input_value() == words


def test_s86_a_token_finds_its_session_and_is_nowhere(listing: Listing, phone: Device, site: Site) -> None:
    """Who pastes one sees its session, and its id in the place of the token."""
    token = next(cookie.get("value", "") for cookie in phone.page.context.cookies() if cookie.get("name") == "ss-id")
    listing.open()
    before = len(site.log())
    listing.search(token)
    listing.wait_for(1)
    assert token not in listing.page.url
    assert listing.page.locator("#searchbar").input_value() in listing.page.url
    asked = [line for line in site.log()[before:].splitlines() if token in line]
    assert len(asked) == 1, "the one request that the operator made"


def test_the_page_of_a_session_tells_of_it(listing: Listing, visitor: Device, phone: Device, desktop: Device) -> None:
    """Facts, fields and the bag are there as text, secrets are not, and the user's other session is one click away."""
    listing.open().open_session(CART)
    text = listing.page.locator("#content").inner_text()
    assert "<b>teapot</b>" in text
    assert "for nobody else" not in listing.page.content()
    assert "/cart/" in text

    listing.open().open_session("192.0.2.44")
    text = listing.page.locator("#content").inner_text()
    assert "marta" in text and "Safari" in text and DESKTOP in text


def test_looking_is_no_use_of_a_session(listing: Listing, phone: Device) -> None:
    """However often its page is opened, a session was last seen when its visitor last came."""
    listing.open().open_session("marta")
    times = listing.page.locator("#content time")
    first = times.evaluate_all("all => all.map(time => time.dateTime)")
    for _ in range(3):
        listing.page.reload()
    assert len(first) > 2
    assert times.evaluate_all("all => all.map(time => time.dateTime)") == first
