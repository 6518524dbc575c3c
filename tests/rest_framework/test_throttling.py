"""How often somebody may try to sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from rest_framework.throttling import SimpleRateThrottle

from tests.rest_framework.clients import SESSION, SIGN_IN, ByHeader, Caller
from tests.rest_framework.conftest import Api
from typed_sessions.rest_framework import SignInThrottle
from typed_sessions.rest_framework.throttling import DEFAULT_RATES
from typed_sessions.testing.engines import Clock

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(autouse=True)
def throttle_clock(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The throttles' clock, which is not that of sessions."""
    monkeypatch.setattr(SimpleRateThrottle, "timer", staticmethod(lambda: clock.now))
    return clock


@pytest.fixture
def rates(api: Api) -> Any:
    """`rates(**{"sign-in": "2/min"})` are the project's rates; what is not named has the default."""
    return lambda **given: api(DEFAULT_THROTTLE_RATES={name.replace("_", "-"): rate for name, rate in given.items()})


def statuses(caller: Caller, *names: str, password: str = "wrong", **headers: str) -> list[int]:
    credentials = [{"username": name, "password": password} for name in names]
    return [caller.post(SIGN_IN, sent, **headers).status_code for sent in credentials]


def test_attempts_for_one_name(caller: Caller, user: User, throttle_clock: Clock) -> None:
    """After five attempts for one name from one address the sixth is refused, right or wrong, with the time to wait."""
    assert statuses(caller, *["ada"] * 5) == [401] * 5
    answer = caller.sign_in()
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
    assert statuses(caller, "grace") == [401]
    throttle_clock.advance(61)
    assert caller.sign_in().status_code == 200


def test_names_are_counted_as_people_read_them(caller: Caller) -> None:
    """Another spelling of a name, which a database may take for the same, is the same attempt."""
    assert statuses(caller, "ada", "ADA", "Ada", "\uff41da", "aDA", "adA")[-1] == 429


def test_attempts_from_one_address(caller: Caller) -> None:
    """After thirty attempts from one address the next is refused, whatever the name."""
    found = statuses(caller, *(f"user{number}" for number in range(31)))
    assert found == [*[401] * 30, 429]


def test_another_address(by_header: ByHeader, rates: Any) -> None:
    """What comes from another address is counted on its own."""
    rates(sign_in="1/min", sign_in_address="1/min")
    assert statuses(by_header, "ada", "ada") == [401, 429]
    by_header.client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    assert statuses(by_header, "ada", "ada") == [401, 429]


def test_address_that_a_client_makes_up(by_header: ByHeader, rates: Any) -> None:
    """A header that anybody can send gives nobody another address."""
    rates(sign_in_address="2/min")
    made_up = [statuses(by_header, "ada", X_Forwarded_For=f"192.0.2.{number}")[0] for number in range(3)]
    assert made_up == [401, 401, 429]


def test_address_that_a_proxy_tells(by_header: ByHeader, rates: Any, api: Api) -> None:
    """Behind as many proxies as the project says it is the address that the outermost of them has seen."""
    rates(sign_in_address="1/min")
    api(NUM_PROXIES=1)
    told = ["192.0.2.1", "203.0.113.9, 192.0.2.1", "192.0.2.2"]
    assert [statuses(by_header, "ada", X_Forwarded_For=header)[0] for header in told] == [401, 429, 401]
    assert statuses(by_header, "ada") == [401]


@pytest.mark.parametrize("proxies", [None, 0, 1])
def test_address_behind_proxies_that_are_trusted(
    by_header: ByHeader, rates: Any, api: Api, settings: Settings, proxies: int | None
) -> None:
    """With `TRUSTED_PROXIES` it is the visitor's as everywhere, whatever REST framework counts."""
    rates(sign_in_address="1/min")
    api(NUM_PROXIES=proxies)
    settings.TYPED_SESSIONS = {**settings.TYPED_SESSIONS, "TRUSTED_PROXIES": ["127.0.0.1"]}
    told = ["192.0.2.1", "203.0.113.9, 192.0.2.1", "192.0.2.2, 127.0.0.1"]
    assert [statuses(by_header, "ada", X_Forwarded_For=header)[0] for header in told] == [401, 429, 401]
    by_header.client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    assert [statuses(by_header, "ada", X_Forwarded_For=header)[0] for header in told] == [401, 429, 429]


def test_rates_of_the_project(caller: Caller, user: User, rates: Any) -> None:
    """The project's rates count, `None` is none, and a changed setting counts at once."""
    rates(sign_in="2/hour")
    assert statuses(caller, *["ada"] * 3) == [401, 401, 429]
    rates(sign_in=None)
    assert caller.sign_in().status_code == 200


def test_defaults_are_rates() -> None:
    """The rates that hold where the project says nothing are the documented ones."""
    assert DEFAULT_RATES == {"sign-in": "5/min", "sign-in-address": "30/min"}
    assert SignInThrottle().rate == "5/min"


class CompanyThrottle(SignInThrottle):
    scope = "company"


def test_throttle_of_the_project(rates: Any) -> None:
    """A throttle of the project's that is made of ours needs a rate for its own scope."""
    with pytest.raises(ImproperlyConfigured, match="'company' scope"):
        CompanyThrottle()
    rates(company="3/day")
    assert CompanyThrottle().rate == "3/day"


def test_only_signing_in_is_throttled(caller: Caller, rates: Any) -> None:
    """Looking at a session is not an attempt."""
    rates(sign_in="1/min", sign_in_address="1/min")
    assert [caller.get(SESSION).status_code for _ in range(3)] == [200] * 3


def test_forged_attempts_do_not_count(by_cookie: Any, user: User, rates: Any) -> None:
    """Another site cannot use up a visitor's attempts: what fails the CSRF check is none."""
    rates(sign_in="1/min", sign_in_address="1/min")
    forged = [by_cookie.client.post(SIGN_IN, {"username": "ada"}).status_code for _ in range(3)]
    assert forged == [403] * 3
    assert by_cookie.sign_in().status_code == 200


@pytest.mark.parametrize("body", [[], {}, {"username": {"a": 1}}, {"username": "\ud800"}, {"username": None}])
def test_attempts_that_are_none(caller: Caller, body: Any, settings: Settings) -> None:
    """Whatever is sent instead of credentials is counted too, and breaks nothing."""
    assert [caller.post(SIGN_IN, body).status_code for _ in range(6)] == [*[400] * 5, 429]
