"""What differs between the releases."""

NAME = "one"


def is_ready(environ):
    """Whether the site is well."""
    return True
