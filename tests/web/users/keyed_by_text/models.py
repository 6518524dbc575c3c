from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class CustomerManager(BaseUserManager["Customer"]):
    def create_user(self, username: str, password: str | None = None, **fields: object) -> "Customer":
        user = self.model(username=username, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class Customer(AbstractBaseUser):
    """The least that Django takes for a user: no e-mail, no names, no permissions."""

    code = models.CharField(primary_key=True, max_length=255)
    username = models.CharField(max_length=50, unique=True)
    is_active = models.BooleanField(default=True)

    objects = CustomerManager()
    USERNAME_FIELD = "username"
