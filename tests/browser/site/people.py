"""Who is there: operators who may do more or less, and customers."""

PASSWORD = "a good one"
ALL = ("view_livesession", "view_livesession_payload", "end_livesession", "view_user")
STAFF = {"olga": ALL, "victor": ("view_livesession", "view_user")}
"""Members of staff, and what they may do. Olga may do everything that is asked of permissions, and is no superuser."""
SUPERUSERS = ("ada", "sam")
CUSTOMERS = ("marta", "jonas", "lea", "emil", "ines", "pavel", "nora", "tom", "yuki", "aylin", "bruno", "clara")
