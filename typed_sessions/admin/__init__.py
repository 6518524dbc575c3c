"""The page of live sessions in Django's admin."""
