from django.contrib.auth.models import AbstractUser
from django.db import models


class Customer(AbstractUser):
    id = models.AutoField(primary_key=True)
