"""Every view twice: under `/api/` it may be asked with headers."""

from types import ModuleType

from django.urls import include, path

from tests.web_servers.site import async_views, views
from tests.web_servers.site.settings import ASYNC_VIEWS

chosen: ModuleType = async_views if ASYNC_VIEWS else views

pages = [
    path("plain/", chosen.plain),
    path("form/", chosen.form),
    path("who/", chosen.who),
    path("session/", chosen.session),
    path("cart/", chosen.add_to_cart),
    path("sign-up/", chosen.sign_up),
    path("sign-in/", chosen.sign_in),
    path("sign-out/", chosen.sign_out),
    path("password/", chosen.change_password),
]
urlpatterns = [path("", include(pages)), path("api/", include(pages))]
