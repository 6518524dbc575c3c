"""The page refreshes itself: its numbers, its chart and its list, but never under the hands of who works with it."""

from __future__ import annotations

import pytest

from tests.browser.devices import Device, Devices
from tests.browser.listing import Listing

# The refresh does not depend on the engine.
pytestmark = pytest.mark.parametrize("site", ["redis"], indirect=True)

POLL = 10_000
"""Milliseconds from one refresh to the next."""


@pytest.fixture
def operator(devices: Devices) -> Device:
    """Ada has the list open; her clock goes on when the test says so."""
    operator = devices.new()
    operator.enter("ada")
    operator.page.clock.install()
    operator.look()
    return operator


@pytest.fixture
def listing(operator: Device) -> Listing:
    return Listing(operator.page)


def number(operator: Device, name: str) -> str:
    """What the counter of that name says."""
    term = operator.page.locator(".tys-counters div").filter(has=operator.page.get_by_text(name, exact=True))
    return term.locator("dd").inner_text()


def wait_for(operator: Device, name: str, value: str) -> None:
    term = operator.page.locator(".tys-counters div").filter(has=operator.page.get_by_text(name, exact=True))
    term.locator("dd", has_text=value).wait_for()


def test_numbers_and_list_follow_what_happens(operator: Device, listing: Listing, devices: Devices) -> None:
    """A visitor who comes is counted and listed after ten seconds, without the page being loaded again."""
    operator.page.evaluate("window.isTheSame = true")
    assert (number(operator, "Live"), number(operator, "Anonymous")) == ("1", "0")
    devices.phone().look("/cart/")
    devices.new(address="203.0.113.77").sign_in("marta")

    operator.page.clock.fast_forward(POLL)
    wait_for(operator, "Live", "3")
    assert (number(operator, "Signed in"), number(operator, "Anonymous")) == ("2", "1")
    listing.wait_for(3)
    assert "203.0.113.77" in " ".join(listing.rows())
    assert operator.page.evaluate("window.isTheSame")


def test_nothing_moves_under_a_tick(operator: Device, listing: Listing, devices: Devices) -> None:
    """While a row is ticked the list stays as it is, and the numbers go on."""
    devices.phone().sign_in("marta")
    operator.page.clock.fast_forward(POLL)
    listing.wait_for(2)
    listing.tick("marta")
    devices.new(address="203.0.113.77").sign_in("jonas")

    operator.page.clock.fast_forward(POLL)
    wait_for(operator, "Live", "3")
    assert len(listing.rows()) == 2
    assert listing.row("marta").locator("input.action-select").is_checked()
    listing.row("marta").locator("input.action-select").uncheck()
    operator.page.clock.fast_forward(POLL)
    listing.wait_for(3)


def test_nobody_asks_for_a_page_that_is_covered(operator: Device, devices: Devices) -> None:
    """A hidden tab stands still, and catches up at once when it is shown again."""
    asked: list[str] = []
    operator.page.on("request", lambda request: asked.append(request.url))
    operator.hide()
    devices.phone().sign_in("marta")
    operator.page.clock.fast_forward(6 * POLL)
    assert asked == []
    assert number(operator, "Live") == "1"

    operator.hide(False)
    wait_for(operator, "Live", "2")


def test_a_button_stops_it_and_goes_on(operator: Device, devices: Devices) -> None:
    """Who has pressed "Pause" reads in peace, until "Resume"."""
    asked: list[str] = []
    operator.page.on("request", lambda request: asked.append(request.url))
    operator.page.get_by_role("button", name="Pause").click()
    devices.phone().sign_in("marta")
    operator.page.clock.fast_forward(6 * POLL)
    assert asked == []
    assert number(operator, "Live") == "1"

    operator.page.get_by_role("button", name="Resume").click()
    wait_for(operator, "Live", "2")


def test_focus_and_place_are_kept(operator: Device, listing: Listing, devices: Devices) -> None:
    """Who has gone to a link by the keyboard is still there after a refresh, and the page has not scrolled."""
    link = operator.page.locator("[data-refresh]")
    link.focus()
    operator.page.evaluate("window.scrollTo(0, 60)")
    before = operator.page.evaluate("window.scrollY")
    devices.phone().sign_in("marta")
    operator.page.clock.fast_forward(POLL)
    wait_for(operator, "Live", "2")
    assert link.evaluate("link => link === document.activeElement")
    assert operator.page.evaluate("window.scrollY") == before


def test_who_is_signed_out_is_told(operator: Device, devices: Devices) -> None:
    """The page says so instead of showing old numbers as if they were new, and has a link to the sign-in."""
    operator.pardoned.append("status of 40[13]")
    colleague = devices.new()
    colleague.enter("sam")
    theirs = Listing(colleague.page).open()
    theirs.tick("ada")
    theirs.run_action("End selected live sessions")
    colleague.page.locator("#content form[method=post] [type=submit]").first.click()
    colleague.page.locator(".messagelist .success").wait_for()

    operator.page.clock.fast_forward(POLL)
    operator.page.get_by_role("link", name="Sign in again").wait_for()


def test_without_a_script_there_is_a_page(devices: Devices) -> None:
    """The numbers, the chart and a link that shows them anew; and no button that does nothing."""
    operator = devices.new(javascript=False)
    operator.enter("ada")
    operator.look()
    assert number(operator, "Live") == "1"
    assert operator.page.get_by_role("button", name="Pause").is_hidden()
    devices.phone().sign_in("marta")
    operator.page.get_by_role("link", name="Refresh").click()
    wait_for(operator, "Live", "2")
