"""What the shop adds to the routes of ``typed_sessions.rest_framework``: the cart, and a page that lists them all."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers, status
from rest_framework.decorators import api_view
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from typed_sessions import get_session
from typed_sessions.rest_framework import StrictTypedSessionAuthentication

from . import cart as carts
from .products import CATALOGUE
from .sessions import MOST, ShopSession

_ROUTES = {
    "cart": "api-cart",
    "session": "typed_sessions:session",
    "sessions": "typed_sessions:sessions",
    "sign-in": "typed_sessions:sign-in",
    "sign-out": "typed_sessions:sign-out",
}


@api_view()
def api_root(request: Request) -> Response:
    """The shop for programs. sample_project/clients/api_client.py is one, by cookies and by headers."""
    return Response({name: reverse(view, request=request) for name, view in _ROUTES.items()})


class CartLineSerializer(serializers.Serializer[Any]):
    sku = serializers.ChoiceField(choices=[(sku, product.name) for sku, product in CATALOGUE.items()])
    quantity = serializers.IntegerField(min_value=1, max_value=MOST, default=1)


class CartView(GenericAPIView[Any]):
    """The cart. POST adds a line to it, signed in or not: a visitor's cart comes along at sign-in."""

    # Its strict form, as visitors have carts too: a browser must show the CSRF token before somebody is signed in.
    authentication_classes = [StrictTypedSessionAuthentication]
    serializer_class = CartLineSerializer

    def get(self, request: Request) -> Response:
        return Response(_told(get_session(request, ShopSession)))

    def post(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        session = get_session(request, ShopSession)
        session.add(**serializer.validated_data)
        return Response(_told(session), status=status.HTTP_201_CREATED)


def _told(session: ShopSession) -> dict[str, Any]:
    lines = [
        {"sku": row.product.sku, "name": row.product.name, "quantity": row.quantity, "amount": row.amount}
        for row in carts.rows(session)
    ]
    return {"lines": lines, "total": carts.total(session), "currency": session.currency}
