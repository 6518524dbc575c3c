"""Ending: one session, several, all that match, all of a user; and what a person does at the wrong moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.accessibility import findings
from tests.browser.devices import LIST, Device, Devices
from tests.browser.listing import HERE, Listing
from tests.browser.servers import Site
from tests.browser.site.people import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Locator

OUT = "Your session has been ended by our staff."


def button(listing: Listing) -> Locator:
    """What answers the question with yes."""
    return listing.page.locator("#content form[method=post] [type=submit]")


def done(listing: Listing, words: str = "") -> None:
    """A message says that it was done."""
    listing.page.locator(".messagelist .success", has_text=words).wait_for()


def ask_to_end(listing: Listing) -> None:
    """From the list to the question whether Marta's session is to end."""
    listing.open().open_session("marta")
    listing.page.get_by_role("link", name="End this session").click()
    button(listing).wait_for()


def assert_is_out(phone: Device) -> None:
    """At the next click, which says why."""
    phone.page.get_by_role("link", name="Look again").click()
    phone.page.get_by_text(OUT).wait_for()
    phone.page.get_by_text("Nobody is signed in.").wait_for()


def test_one_session_is_ended_from_its_page(listing: Listing, phone: Device) -> None:
    """After a question; its browser is signed out at the next click, and told why. The list goes on without it."""
    ask_to_end(listing)
    assert "marta" in listing.page.locator("#content").inner_text()
    button(listing).click()

    done(listing)
    assert_is_out(phone)
    listing.open().wait_for(1)
    assert HERE in listing.rows()[0]


def test_ticked_sessions_are_ended(listing: Listing, phone: Device) -> None:
    """After a question; the operator's own session stays, and that is said."""
    listing.open()
    listing.tick("marta")
    listing.tick(HERE)
    listing.run_action("End selected live sessions")
    text = listing.page.locator("#content").inner_text()
    assert "marta" in text and "End 1 session?" in text and "Your own session" in text
    button(listing).click()

    done(listing)
    listing.page.get_by_text("Your own session goes on.").wait_for()
    assert_is_out(phone)
    listing.open().wait_for(1)


def test_who_thinks_again_ends_nothing(listing: Listing, phone: Device) -> None:
    """The question alone does nothing, and leads back to the session."""
    ask_to_end(listing)
    listing.page.get_by_role("link", name="No, take me back").click()
    listing.page.get_by_role("link", name="End this session").wait_for()
    phone.page.reload()
    phone.page.get_by_text("Hello, marta.").wait_for()


def test_the_back_button_does_no_harm(listing: Listing, phone: Device) -> None:
    """Who goes back to the question is not asked any more: there is nothing to end."""
    ask_to_end(listing)
    button(listing).click()
    done(listing)
    listing.page.go_back()
    listing.page.get_by_text("There is no session to end.").wait_for()
    assert button(listing).count() == 0


def test_a_double_click_ends_it_once(listing: Listing, phone: Device) -> None:
    """The second click breaks nothing."""
    ask_to_end(listing)
    button(listing).dblclick()
    listing.page.locator(".messagelist li").first.wait_for()
    assert_is_out(phone)


def test_two_operators_end_the_same_session(listing: Listing, phone: Device, devices: Devices) -> None:
    """The one who comes second is told that it was over, and by a page, not by an error."""
    colleague = devices.new()
    colleague.enter("sam")
    theirs = Listing(colleague.page)
    ask_to_end(listing)
    ask_to_end(theirs)
    button(listing).click()
    done(listing)
    button(theirs).click()
    theirs.page.locator(".messagelist .warning").first.wait_for()
    assert theirs.page.locator(".messagelist .success").count() == 0


@pytest.mark.parametrize("site", ["database"], indirect=True)
def test_a_session_expires_while_its_page_is_open(devices: Devices, phone: Device, site: Site) -> None:
    """To end it then is no error: the page says that it is over."""
    operator = devices.new()
    operator.enter("olga")
    ask_to_end(listing := Listing(operator.page))
    session_id = listing.page.url.split("/")[-3]
    site.control("expire", session=session_id)
    button(listing).click()
    listing.page.locator(".messagelist .warning").first.wait_for()
    assert listing.page.locator(".messagelist .success").count() == 0


def test_who_is_signed_out_meanwhile_ends_nothing(listing: Listing, phone: Device, devices: Devices) -> None:
    """Whose session has ended is asked to sign in, and then once more; what was asked for is not done behind that."""
    ask_to_end(listing)
    colleague = devices.new()
    colleague.enter("sam")
    theirs = Listing(colleague.page).open()
    theirs.tick("ada")
    theirs.run_action("End selected live sessions")
    button(theirs).click()
    done(theirs)
    button(listing).click()
    listing.page.locator("input[name=username]").wait_for()
    phone.page.reload()
    phone.page.get_by_text("Hello, marta.").wait_for()
    listing.page.locator("input[name=username]").fill("ada")
    listing.page.locator("input[name=password]").fill(PASSWORD)
    listing.page.keyboard.press("Enter")
    listing.page.get_by_text("marta").wait_for()
    button(listing).click()
    done(listing)
    assert_is_out(phone)


def test_all_that_match_are_ended_in_parts(listing: Listing, phone: Device, site: Site) -> None:
    """With a count as it goes on, and a button where no script presses it; who did it stays, and so do all others."""
    asked: list[str] = []
    listing.page.on("request", lambda request: asked.append(request.method))
    site.control("grow", count=3000)
    listing.open("?signed_in=yes").page.get_by_role("link", name="End all of this list").click()
    assert "End 1,001 sessions?" in listing.page.locator("#content").inner_text()
    button(listing).click()
    while not site.redis and listing.page.locator("progress").count():
        assert " of 1,001 sessions" in listing.page.locator("#content").inner_text()
        listing.page.get_by_role("button", name="Continue").click()
    done(listing, "1,001 sessions were ended.")
    assert asked.count("POST") > 1
    assert_is_out(phone)
    listing.open("?signed_in=yes").wait_for(1)
    assert HERE in listing.rows()[0]
    assert "2000" in listing.open("?signed_in=no").page.locator(".paginator").inner_text()


@pytest.mark.parametrize("site", ["database"], indirect=True)
def test_progress_can_be_loaded_again(listing: Listing, site: Site) -> None:
    """That goes on with it, as the button does. What it is told at the end is of the last step alone."""
    site.control("grow", count=3000)
    listing.open().page.get_by_role("link", name="End all sessions").click()
    with listing.page.expect_navigation():
        button(listing).click()
    while "/end-matching/" in listing.page.url:
        listing.page.reload()
    listing.page.locator(".messagelist").wait_for()
    listing.open().wait_for(1)


@pytest.mark.parametrize("site", ["redis"], indirect=True)
def test_what_goes_on_can_be_stopped(listing: Listing, site: Site) -> None:
    """By a button; another one continues it."""
    site.control("grow", count=3000)
    listing.open().page.get_by_role("link", name="End all sessions").click()
    button(listing).click()
    listing.page.get_by_role("button", name="Stop").click()
    listing.page.get_by_role("button", name="Continue").wait_for()
    assert findings(listing.page) == []
    left = int(Listing(listing.page.context.new_page()).open().page.locator(".paginator").inner_text().split()[-3])
    assert 1 < left < 3001
    listing.page.get_by_role("button", name="Continue").click()
    done(listing, "sessions were ended.")
    listing.open().wait_for(1)


def test_all_of_a_user_are_ended_from_their_page(listing: Listing, phone: Device, devices: Devices) -> None:
    """The user's page tells how many there are, and leads to them and to their end."""
    devices.new().enter("marta")
    devices.new().enter("jonas")
    listing.page.goto("/admin/auth/user/?q=marta")
    listing.open_session("marta@")
    row = listing.page.locator(".field-live_sessions_to_end")
    assert "2" in row.inner_text()
    row.get_by_role("link", name="show").click()
    listing.wait_for(2)
    listing.page.go_back()
    row.get_by_role("link", name="end all").click()
    button(listing).click()
    done(listing, "2 sessions were ended.")
    assert_is_out(phone)
    listing.open().wait_for(2)


def test_all_of_several_users_are_ended_by_an_action(listing: Listing, phone: Device, devices: Devices) -> None:
    """From the list of users, after a question."""
    devices.new().enter("jonas")
    listing.page.goto("/admin/auth/user/")
    listing.tick("marta@")
    listing.tick("jonas@")
    listing.run_action("End all sessions of selected users")
    button(listing).click()
    done(listing, "2 sessions were ended.")
    assert_is_out(phone)


def test_it_can_be_done_by_keyboard_alone(devices: Devices, phone: Device) -> None:
    """From the list to the session, to the question, to the end; and what has the focus can be seen."""
    operator = devices.new()
    operator.enter("ada")
    operator.look()
    link = Listing(operator.page).row("marta").locator("th a")
    operator.tab_to(link)
    operator.page.keyboard.press("Enter")
    operator.tab_to(operator.page.get_by_role("link", name="End this session"))
    operator.page.keyboard.press("Enter")
    operator.page.wait_for_url("**/end/")
    operator.tab_to(button(Listing(operator.page)))
    operator.page.keyboard.press("Enter")
    done(Listing(operator.page))
    operator.page.wait_for_url(f"**{LIST}")
    assert_is_out(phone)
