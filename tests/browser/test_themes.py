"""An admin site of the project's own, and the looks that others give to the admin: everything works there too."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.browser.devices import LIST, Device, Devices
from tests.browser.listing import HERE, Listing
from tests.browser.servers import Site


def by_link(listing: Listing) -> None:
    """As Django has it."""
    listing.choose("anonymous")


def by_drawer(listing: Listing) -> None:
    """Where unfold's filters come from the side."""
    listing.page.locator("a", has_text="Filters").first.click()
    listing.choose("anonymous")


def by_choice(listing: Listing) -> None:
    """What jazzmin makes of a filter: a choice, sent with the search."""
    listing.page.locator("select[data-name=signed_in]").select_option(label="anonymous", force=True)
    listing.page.locator("#changelist-search button[type=submit]").click()


@pytest.mark.parametrize(
    ("site", "choose"),
    [("operations", by_link), ("unfold", by_drawer), ("jazzmin", by_choice)],
    indirect=["site"],
    ids=["operations", "unfold", "jazzmin"],
)
def test_everything_works_there(devices: Devices, site: Site, phone: Device, choose: Callable[[Listing], None]) -> None:
    """The list with its numbers, filters, search, the page of a session, its end, and the end of all of a user."""
    visitor = devices.new(address="203.0.113.251")
    visitor.look("/cart/")
    operator = devices.new()
    operator.pardoned.append("asked another host|net::ERR_FAILED")  # fonts and such of the themes
    operator.sign_in("ada", "/admin/login/?next=/admin/")
    page = operator.page
    page.locator(f"a[href='{LIST}']:visible").first.click()
    listing = Listing(page)
    listing.wait_for(3)
    assert page.locator(".tys-counters dd").first.inner_text() == "3"
    assert sum(HERE in row for row in listing.rows()) == 1

    choose(listing)
    page.wait_for_url(re.compile("signed_in=no"))
    listing.wait_for(1)
    listing.open().search("marta")
    listing.wait_for(1)

    listing.open_session("192.0.2.44")
    assert "Safari" in (page.locator("body").text_content() or "")  # some have tabs
    page.get_by_role("link", name="End this session").click()
    page.locator("[type=submit].tys-end").click()
    page.wait_for_url(re.compile(f"{LIST}$"))
    page.get_by_text("1 session was ended.").first.wait_for()
    phone.page.get_by_role("link", name="Look again").click()
    phone.page.get_by_text("Your session has been ended by our staff.").wait_for()

    listing.open().tick("203.0.113.251")
    listing.run_action("End selected live sessions")
    page.locator("[type=submit].tys-end").click()
    page.get_by_text("1 session was ended.").first.wait_for()
    listing.open().wait_for(1)
