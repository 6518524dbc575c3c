from django.contrib.auth.views import LoginView
from django.urls import include, path

from typed_sessions.forms import SignInForm
from typed_sessions.views import ConfirmPasswordView

from . import api, views

urlpatterns = [
    path("", views.products, name="products"),
    path("products/<slug:sku>/", views.product, name="product"),
    path("cart/", views.cart, name="cart"),
    path("cart/summary/", views.cart_summary, name="cart-summary"),
    path("cart/note/", views.write_gift_note, name="gift-note"),
    path("cart/clear/", views.clear_cart, name="clear-cart"),
    path("cart/order/", views.order, name="order"),
    path("cart/<slug:sku>/add/", views.add_to_cart, name="add-to-cart"),
    path("cart/<slug:sku>/change/", views.change_quantity, name="change-quantity"),
    path("currency/", views.choose_currency, name="currency"),
    path(
        "sign-in/",
        LoginView.as_view(
            authentication_form=SignInForm, template_name="shop/sign_in.html", redirect_authenticated_user=True
        ),
        name="sign-in",
    ),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("signed-out/", views.signed_out, name="signed-out"),
    path("account/", views.Account.as_view(), name="account"),
    path("account/orders/", views.my_orders, name="orders"),
    path("account/devices/", views.my_devices, name="devices"),
    path("account/devices/sign-out/", views.end_other_devices, name="end-other-devices"),
    path("account/devices/<str:session_id>/sign-out/", views.end_device, name="end-device"),
    path("account/email/", views.change_email, name="change-email"),
    path(
        "account/confirm/",
        ConfirmPasswordView.as_view(template_name="shop/confirm_password.html"),
        name="confirm-password",
    ),
    path("api/", api.api_root, name="api"),
    path("api/cart/", api.CartView.as_view(), name="api-cart"),
    path("api/", include("typed_sessions.rest_framework.urls")),
]
