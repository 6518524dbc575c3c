from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "sample_project.shop"

    def ready(self) -> None:
        from . import endings as endings  # which needs the models
