"""What the script of the page does besides refreshing: other ranges, bad times, boxes, and tasks that go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.browser.devices import LIST, Device, Devices
from tests.browser.listing import Listing

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

# What the script does depends neither on the engine nor on its store.
pytestmark = pytest.mark.parametrize("site", ["database"], indirect=True)

POLL = 10_000
"""Milliseconds from one refresh to the next."""
TASK = """<!doctype html><html lang="en"><title>Task</title><script src="/static/typed_sessions/admin.js"></script>
<h1>{} of 3</h1><form method="post" data-typed-sessions-continue><button type="submit">Continue</button>
<button type="button" hidden data-typed-sessions-stop>Stop</button></form></html>"""


@pytest.fixture
def operator(devices: Devices) -> Device:
    """Ada, who has not opened the list yet; her clock goes on when the test says so."""
    operator = devices.new()
    operator.enter("ada")
    operator.page.clock.install()
    return operator


@pytest.fixture
def page(operator: Device) -> Page:
    """The list of live sessions."""
    return operator.look()


def refresh(page: Page, after: int = POLL) -> None:
    """Lets the page refresh itself, and waits until it has."""
    with page.expect_response(f"**{LIST}") as answer:
        page.clock.fast_forward(after)
    answer.value.finished()


def settle(page: Page) -> None:
    """Until all requests have been made that the page was about to make."""
    page.evaluate("fetch('/favicon.ico').catch(() => null)")


def title(page: Page) -> str:
    return page.locator(".tys-chart [data-part=title]").inner_text()


def wait_for_title(page: Page, words: str) -> None:
    page.locator(".tys-chart [data-part=title]", has_text=words).wait_for()


def at(page: Page) -> str:
    return page.locator("[data-part=at]").inner_text()


def test_range_is_chosen_in_place(page: Page) -> None:
    """Without leaving the list, and it is still chosen after a refresh and on the next page."""
    page.get_by_role("link", name="7 days").click()
    wait_for_title(page, "Sessions in the last 7 days")
    assert page.url.endswith(LIST)
    assert page.get_by_role("link", name="7 days").get_attribute("aria-current") == "true"
    assert page.get_by_role("link", name="24 hours").get_attribute("aria-current") is None
    refresh(page)
    assert title(page) == "Sessions in the last 7 days"
    page.reload()
    wait_for_title(page, "Sessions in the last 7 days")


def test_range_without_a_script(devices: Devices) -> None:
    """The link leads to a page with the same chart, from where links lead on and back."""
    operator = devices.new(javascript=False)
    operator.enter("ada")
    page = operator.look()
    page.get_by_role("link", name="7 days").click()
    assert page.url.endswith(f"{LIST}live/?range=week")
    assert title(page) == "Sessions in the last 7 days"
    page.get_by_role("link", name="All live sessions").click()
    assert page.url.endswith(LIST)


def test_what_is_open_stays_open(page: Page) -> None:
    """The table of numbers stays where it was scrolled to, and the focus where it was."""
    page.get_by_text("The numbers as a table").click()
    rows = page.locator(".tys-chart-rows")
    rows.focus()
    refresh(page)
    assert rows.is_visible()
    assert rows.evaluate("rows => rows === document.activeElement")


def test_errors_are_told_and_tried_again(operator: Device, page: Page) -> None:
    """Who reads old numbers is told so; the page asks ever more rarely, and says nothing once it is well."""
    operator.pardoned.append("ERR_INTERNET_DISCONNECTED")
    last = at(page)
    page.context.set_offline(True)
    page.clock.fast_forward(POLL)
    page.locator(".tys-status", has_text=f"Not refreshed since {last}").wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(POLL)
    settle(page)
    assert [url for url in asked if LIST in url] == []
    with page.expect_request(f"**{LIST}live/**"):
        page.clock.fast_forward(POLL)
    page.context.set_offline(False)
    refresh(page)
    page.locator(".tys-status:empty").wait_for(state="attached")


def test_error_of_the_server_is_an_error(operator: Device, page: Page) -> None:
    """What the server says of it stands beside since when."""
    operator.pardoned.append("status of 503")
    problem = '<section data-typed-sessions-live><p data-part="problem">The store is away.</p></section>'
    page.route(f"**{LIST}live/**", lambda route: route.fulfill(status=503, content_type="text/html", body=problem))
    page.clock.fast_forward(POLL)
    page.locator(".tys-status", has_text="The store is away. Not refreshed since").wait_for()
    assert page.locator(".tys-counters").is_visible()


def test_pause_is_kept(page: Page) -> None:
    """On the next page too, until somebody goes on."""
    page.get_by_role("button", name="Pause").click()
    page.reload()
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Pause").wait_for()
    page.reload()
    page.get_by_role("button", name="Pause").wait_for()


def test_boxes_of_new_rows_are_ticked_with_the_others(page: Page, devices: Devices) -> None:
    """After a refresh the box above ticks all rows that are there now, and the number of them is right."""
    listing = Listing(page)
    for name in ("marta", "jonas"):
        devices.new().enter(name)
        refresh(page)
    listing.wait_for(3)
    page.locator("#action-toggle").check()
    assert page.locator("input.action-select:checked").count() == 3
    assert page.locator(".action-counter").inner_text() == "3 of 3 selected"
    listing.row("jonas").locator("input.action-select").uncheck()
    assert page.locator(".action-counter").inner_text() == "2 of 3 selected"
    assert not page.locator("#action-toggle").is_checked()


def test_list_that_was_empty(operator: Device, devices: Devices) -> None:
    """Rows appear where there were none, with boxes that work, and go again."""
    page = operator.look(f"{LIST}?signed_in=no")
    listing = Listing(page)
    listing.wait_for(0)
    visitor = devices.phone()
    visitor.look("/cart/")
    with page.expect_response("**/?signed_in=no"):
        page.clock.fast_forward(POLL)
    listing.wait_for(1)
    page.locator("#action-toggle").check()
    assert page.locator(".action-counter").inner_text() == "1 of 1 selected"
    page.locator("#action-toggle").uncheck()
    visitor.enter("marta")
    page.clock.fast_forward(POLL)
    listing.wait_for(0)


def go_to_row(page: Page) -> None:
    page.keyboard.press("Tab")
    page.locator("#result_list tbody th a").first.focus()


def tick_row(page: Page) -> None:
    page.locator("input.action-select").first.check()


def mark_words(page: Page) -> None:
    page.locator("#result_list td.field-device span").first.dblclick()


@pytest.mark.parametrize("busy", [go_to_row, tick_row, mark_words])
def test_nothing_moves_under_the_hands(page: Page, devices: Devices, busy: Callable[[Page], None]) -> None:
    """While somebody goes through the rows by keyboard, ticks or marks something, the list stays as it is, and the
    numbers go on.
    """
    asked: list[str] = []
    busy(page)
    devices.new().enter("marta")
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(POLL)
    page.locator(".tys-counters dd", has_text="2").first.wait_for()
    settle(page)
    assert [url for url in asked if url.endswith(LIST)] == []


def test_nothing_moves_under_the_pointer(page: Page, devices: Devices) -> None:
    """A row that somebody is about to click on stays where it is, for a few seconds."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    devices.new().enter("marta")
    page.clock.fast_forward(POLL - 2000)
    page.locator("#result_list tbody tr").first.hover()
    page.clock.fast_forward(2000)
    page.locator(".tys-counters dd", has_text="2").first.wait_for()
    settle(page)
    assert [url for url in asked if url.endswith(LIST)] == []
    refresh(page)


@pytest.fixture
def task(operator: Device) -> Callable[[], int]:
    """A page with a task of three steps that waits to be opened; how many steps were asked for."""
    steps: list[str] = []

    def step(route: Route) -> None:
        steps.extend(["step"] if route.request.method == "POST" else [])
        body = TASK.format(len(steps)) if len(steps) < 3 else "<!doctype html><title>Done</title><h1>Done</h1>"
        route.fulfill(content_type="text/html", body=body)

    operator.page.route("**/task/", step)
    return lambda: len(steps)


def test_task_goes_on_by_itself(operator: Device, task: Callable[[], int]) -> None:
    """From step to step until it is done."""
    operator.look("/task/")
    for number in (1, 2):
        operator.page.clock.run_for(400)
        operator.page.get_by_text(f"{number} of 3").wait_for()
    operator.page.clock.run_for(400)
    operator.page.get_by_text("Done").wait_for()
    assert task() == 3


def test_task_can_be_stopped(operator: Device, task: Callable[[], int]) -> None:
    """By the button that has the focus; another one goes on from there."""
    page = operator.look("/task/")
    page.clock.run_for(400)
    page.get_by_text("1 of 3").wait_for()
    page.locator("button:focus", has_text="Stop").wait_for()
    assert page.get_by_role("button", name="Continue").is_hidden()
    page.keyboard.press("Enter")
    page.locator("button:focus", has_text="Continue").wait_for()
    assert page.get_by_role("button", name="Stop").is_hidden()
    page.clock.run_for(5_000)
    assert task() == 1
    page.keyboard.press("Enter")
    page.get_by_text("2 of 3").wait_for()


def test_task_without_a_script(devices: Devices, task: Callable[[], int]) -> None:
    """There is one button, and it goes on."""
    plain = devices.new(javascript=False)
    plain.page.route("**/task/", lambda route: route.fulfill(content_type="text/html", body=TASK.format(0)))
    plain.look("/task/")
    assert plain.page.get_by_role("button").all_inner_texts() == ["Continue"]
