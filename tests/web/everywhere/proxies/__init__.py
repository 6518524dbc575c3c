"""An app whose user model is a proxy of Django's, as projects have in their admin."""
