"""The country of an address, by a database such as those that are sold and given away."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]  # which the writer above takes

from typed_sessions.admin import locations
from typed_sessions.admin.locations import Country, country_of

if TYPE_CHECKING:
    from pytest_django import Settings

GERMAN, BRITISH, NOWHERE, UNKNOWN = "5.9.1.1", "2a01:4b00::1", "5.10.1.1", "8.8.8.8"
PRIVATE = ["10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16"]
GERMANY = {"iso_code": "DE", "names": {"en": "Germany", "de": "Deutschland"}}
BRITAIN = {"iso_code": "GB", "names": {"en": "United Kingdom"}}

Database = Callable[..., Path]


@pytest.fixture
def database(tmp_path: Path, settings: Settings) -> Database:
    """Writes a database, and has the project use it."""

    def write(name: str = "GeoLite2-Country.mmdb", kind: str = "GeoLite2-Country", version: int = 6) -> Path:
        writer = MMDBWriter(version, kind, ipv4_compatible=version == 6)
        writer.insert_network(IPSet(["5.9.0.0/16", *PRIVATE]), {"country": GERMANY})
        writer.insert_network(IPSet(["5.10.0.0/16"]), {"continent": {"code": "EU"}})
        if version == 6:
            writer.insert_network(IPSet(["2a01:4b00::/32", "fe80::/10"]), {"country": BRITAIN})
        writer.to_db_file(str(tmp_path / name))
        settings.GEOIP_PATH = tmp_path
        return tmp_path / name

    return write


def test_an_address_is_in_its_country(database: Database) -> None:
    """By either kind of address, also of one that IPv6 wraps."""
    database()
    assert country_of(GERMAN) == Country("DE", "Germany")
    assert country_of(f"::ffff:{GERMAN}") == Country("DE", "Germany")
    assert country_of(BRITISH) == Country("GB", "United Kingdom")


def test_a_database_of_cities_will_do(database: Database) -> None:
    """A project that has it for something else needs no other."""
    database("GeoLite2-City.mmdb", "GeoLite2-City")
    assert country_of(GERMAN) == Country("DE", "Germany")


def test_an_address_that_the_database_does_not_know_has_no_country(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in it, in it without a country, or of a kind that it does not hold; and nobody is told of that."""
    database()
    assert [country_of(address) for address in (UNKNOWN, NOWHERE)] == [None, None]
    database(version=4)
    assert country_of(BRITISH) is None
    assert caplog.records == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.0.9", "::1", "fe80::1%eth0", "::ffff:10.0.0.1"])
def test_a_private_address_has_no_country(database: Database, address: str) -> None:
    """Whatever a database says of them."""
    database()
    assert country_of(address) is None


@pytest.mark.parametrize(
    "address", ["", "localhost", "unix:", "5.9.1.1:80", "5.9.1", "example.com", "\x00", "9" * 9999]
)
def test_what_is_no_address_has_no_country(database: Database, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody asks the domain name system what it might be."""
    monkeypatch.setattr("socket.gethostbyname", pytest.fail)
    database()
    assert country_of(address) is None


def test_without_a_database_there_are_no_countries(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """That is what most projects want, and no error."""
    assert country_of(GERMAN) is None
    settings.GEOIP_PATH = None
    assert country_of(GERMAN) is None
    assert caplog.records == []


def test_without_the_package_there_are_no_countries(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that another part of the project reads in another way is no error either."""
    database()
    monkeypatch.setattr("django.contrib.gis.geoip2.HAS_GEOIP2", False)
    assert country_of(GERMAN) is None
    assert caplog.records == []


def test_a_database_that_is_missing_is_told_once(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The page does without countries, and the log does not fill up."""
    settings.GEOIP_PATH = tmp_path / "nothing"
    assert [country_of(GERMAN), country_of(BRITISH)] == [None, None]
    (told,) = caplog.records
    assert (told.levelno, told.name) == (logging.WARNING, "typed_sessions")
    assert "GEOIP_PATH" in told.getMessage()


def test_a_file_that_is_no_database_is_told_once(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A download that broke off costs the countries, and nothing else."""
    path = tmp_path / "GeoLite2-Country.mmdb"
    path.write_bytes(b"<html>Not found</html>")
    settings.GEOIP_PATH = path
    assert [country_of(GERMAN), country_of(BRITISH)] == [None, None]
    assert len(caplog.records) == 1


def test_a_database_that_is_damaged_is_told_once(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Its end has what it is, and its beginning is read for each address."""
    path = database()
    whole = path.read_bytes()
    tree = whole.index(b"\x00" * 16)
    path.write_bytes(b"\xff" * tree + whole[tree:])
    assert [country_of(GERMAN), country_of(GERMAN)] == [None, None]
    assert len(caplog.records) == 1


def test_the_setting_is_read_when_it_changes(database: Database, settings: Settings) -> None:
    """As every setting is; and the file is opened once."""
    database()
    assert country_of(GERMAN) == Country("DE", "Germany")
    opened = locations._database()
    settings.LANGUAGE_CODE = "de"
    assert locations._database() is opened
    settings.GEOIP_PATH = None
    assert country_of(GERMAN) is None


def test_nothing_is_loaded_without_the_setting() -> None:
    """A project without a database does not load what would read it."""
    locations._database.cache_clear()
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name == "django.contrib.gis.geoip2"}
    assert country_of(GERMAN) is None
    assert "django.contrib.gis.geoip2" not in sys.modules
    sys.modules.update(before)
