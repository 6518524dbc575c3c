"""The pages of the packages, beside the views of the tests."""

from django.urls import include, path

from tests.web import urls

urlpatterns = [
    *urls.urlpatterns,
    path("allauth/", include("allauth.urls")),
    path("hijack/", include("hijack.urls")),
]
