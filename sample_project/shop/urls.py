from django.urls import path

from . import views

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
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("signed-out/", views.signed_out, name="signed-out"),
    path("account/", views.Account.as_view(), name="account"),
]
