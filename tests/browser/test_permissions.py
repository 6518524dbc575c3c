"""What members of staff see and can do who may do less (S86, S87)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.devices import LIST, Device, Devices
from tests.browser.listing import Listing

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def phone(devices: Devices) -> Device:
    phone = devices.phone()
    phone.sign_in("marta")
    phone.look("/cart/")
    return phone


def operator(devices: Devices, name: str) -> Listing:
    device = devices.new()
    device.enter(name)
    return Listing(device.page).open()


def ways_to_end(page: Page) -> int:
    """Buttons, links and choices that end something."""
    words = page.locator("#content").get_by_text(re.compile(r"\bend (this|all|selected)", re.IGNORECASE))
    return words.count() + page.locator("select[name=action], .tys-end").count()


def test_s87_who_may_only_look_has_nothing_to_press(devices: Devices, phone: Device) -> None:
    """No action, no box to tick, no link, and no page for who makes the address up; the fields are not shown either."""
    listing = operator(devices, "victor")
    assert ways_to_end(listing.page) == 0
    assert listing.page.locator("input.action-select").count() == 0
    listing.open_session("marta")
    assert ways_to_end(listing.page) == 0
    assert "teapot" not in listing.page.content()
    here = listing.page.url.removesuffix("change/")

    devices.all[-1].pardoned.append("status of 403")
    for address in (f"{here}end/", f"{LIST}end-matching/"):
        answer = listing.page.goto(address)
        assert answer and answer.status == 403
    phone.page.reload()
    phone.page.get_by_text("Hello, marta.").wait_for()


def test_s87_sessions_of_superusers_are_not_there_for_others(devices: Devices) -> None:
    """Neither in the list, nor by search, nor by address, nor by ending all."""
    boss = devices.new(address="203.0.113.9")
    boss.enter("ada")
    own = Listing(boss.page).open()
    own.open_session("ada")
    address = boss.page.url

    listing = operator(devices, "olga")
    assert not any("ada" in row for row in listing.rows())
    for words in ("ada", "ada@example.com", "203.0.113.9", address.split("/")[-3]):
        listing.search(words)
        listing.wait_for(0)
    listing.page.goto(address)
    assert not listing.page.url.endswith("change/")
    assert "203.0.113.9" not in listing.page.locator("#content").inner_text()

    boss.look()
    assert boss.page.locator("#result_list").is_visible()
