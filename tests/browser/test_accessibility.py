"""Every page for everybody: by keyboard, by screen reader, on a phone, in the dark, in two languages."""

from __future__ import annotations

import pytest

from tests.browser.accessibility import findings
from tests.browser.devices import LIST, Device, Devices
from tests.browser.servers import Site

# Looks do not depend on the engine.
pytestmark = pytest.mark.parametrize("site", ["redis"], indirect=True)

CHANGED = {"user": ".field-live_sessions_to_end"}
"""Pages of Django's, and what of them is ours."""


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
    }


@pytest.mark.parametrize(
    ("language", "dark", "width"),
    [("en-GB", False, 1280), ("en-GB", True, 1280), ("de-DE", False, 375), ("de-DE", True, 375)],
    ids=["english", "english-dark", "german-phone", "german-phone-dark"],
)
def test_axe_finds_nothing_serious(devices: Devices, site: Site, language: str, dark: bool, width: int) -> None:
    """On no page, and no page scrolls sideways."""
    site.control("grow", count=60)
    devices.phone().sign_in("marta")
    operator = devices.new(width=width, dark=dark, language=language)
    operator.enter("ada")
    found = []
    for name, address in pages(operator).items():
        operator.look(address)
        problems = [
            *findings(operator.page, CHANGED.get(name, "#container")),
            *(f"too wide: {part}" for part in operator.overflows()),
        ]
        found += [f"{name}: {problem}" for problem in problems]
    assert not found, "\n".join(found)
