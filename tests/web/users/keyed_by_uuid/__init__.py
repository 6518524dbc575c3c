"""The app of one such user model."""
