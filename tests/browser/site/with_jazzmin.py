"""The project with jazzmin."""

from tests.browser.site import settings as configured
from tests.browser.site.settings import *  # noqa: F403  # settings are a namespace

INSTALLED_APPS = ["jazzmin", *configured.INSTALLED_APPS]
JAZZMIN_SETTINGS = {"use_google_fonts_cdn": False}
# Its pages have scripts and styles in them.
POLICY = ""
