from django.contrib.auth.models import User


class Customer(User):
    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]  # as Django wants it
        proxy = True
