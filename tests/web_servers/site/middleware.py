"""Tells which process answered, whatever the answer is."""

from __future__ import annotations

import os

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin


class WorkerMiddleware(MiddlewareMixin):
    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response["X-Worker"] = str(os.getpid())
        return response
