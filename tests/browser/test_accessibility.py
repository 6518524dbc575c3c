"""Every page for everybody: by keyboard, by screen reader, on a phone, in the dark, in two languages."""

from __future__ import annotations

import pytest

from tests.browser.accessibility import findings
from tests.browser.devices import LIST, Device, Devices
from tests.browser.servers import Site

# Looks do not depend on the engine.
pytestmark = pytest.mark.parametrize("site", ["redis"], indirect=True)

DJANGOS = (".breadcrumbs", "#searchbar")
"""What Django's own pages have as well: links that stand out too little, and a field with no label but a title."""


def pages(operator: Device) -> dict[str, str]:
    """Where they are."""
    operator.look(f"{LIST}?q=marta")
    session = operator.page.locator("#result_list tbody tr").first.locator("th a").get_attribute("href") or ""
    return {
        "list": LIST,
        "filtered": f"{LIST}?signed_in=yes",
        "empty": f"{LIST}?q=nobody",
        "live": f"{LIST}live/",
        "session": session.partition("?")[0],
        "question": session.partition("?")[0].replace("change/", "end/"),
        "question for all": f"{LIST}end-matching/?signed_in=yes",
        "user": "/admin/auth/user/5/change/",
        "users": "/admin/auth/user/",
    }


@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_axe_finds_nothing_serious(devices: Devices, site: Site, language: str, dark: bool, width: int) -> None:
    """On no page, and no page scrolls sideways."""
    site.control("grow", count=60)
    devices.phone().sign_in("marta")
    operator = devices.new(width=width, dark=dark, language=language)
    operator.enter("ada")
    found = {}
    for name, address in pages(operator).items():
        operator.look(address)
        if problems := [*findings(operator.page, *DJANGOS), *(f"too wide: {part}" for part in operator.overflows())]:
            found[name] = problems
    assert found == {}
