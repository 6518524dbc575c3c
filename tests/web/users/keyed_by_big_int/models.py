from django.contrib.auth.models import AbstractUser
from django.db import models


class Customer(AbstractUser):
    number = models.BigAutoField(primary_key=True)
