"""Settings of the site. Whatever differs between deployments comes from the environment; README.md lists the names."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage

BASE_DIR = Path(__file__).resolve().parent.parent


def required(name):
    """The environment variable `name`; ImproperlyConfigured if it is missing or empty."""
    value = os.environ.get(name)
    if not value:
        raise ImproperlyConfigured(f"The environment variable {name} is required.")
    return value


def listed(name):
    """The comma-separated environment variable `name` as a list; empty if it is missing."""
    return [item.strip() for item in os.environ.get(name, "").split(",") if item.strip()]


def seconds(name, default):
    """The environment variable `name` as a whole number of seconds; ImproperlyConfigured if it is anything else."""
    value = os.environ.get(name, str(default))
    if not value.isdecimal():
        raise ImproperlyConfigured(f"The environment variable {name} must be a whole number of seconds, not {value!r}.")
    return int(value)


SECRET_KEY = required("SECRET_KEY")
DEBUG = os.environ.get("DEBUG", "").lower() in {"1", "true", "yes", "on"}
ALLOWED_HOSTS = listed("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = listed("CSRF_TRUSTED_ORIGINS")

MONGODB_URL = required("MONGODB_URL")
if not urlsplit(MONGODB_URL).path.strip("/"):
    raise ImproperlyConfigured("The environment variable MONGODB_URL must name a database: mongodb://host/database")
DATABASES = {}

MEMCACHED_SERVERS = listed("MEMCACHED_SERVERS")
PAGE_CACHE_SECONDS = seconds("PAGE_CACHE_SECONDS", 300)
CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
if MEMCACHED_SERVERS:
    CACHES["default"] = {
        "BACKEND": "games.cache.MemcachedRing",
        "LOCATION": MEMCACHED_SERVERS,
        "KEY_PREFIX": "familygames",
        "OPTIONS": {
            "connect_timeout": 0.5,
            "timeout": 0.5,
            "no_delay": True,
            # A server that fails is left out at once, its keys move to the others, and it is tried again later.
            "ignore_exc": True,
            "retry_attempts": 0,
            "dead_timeout": 15,
            # Values are bytes, not pickles: whoever can write to Memcached must not be able to run code here.
            "serde": None,
        },
    }

INSTALLED_APPS = ["django.contrib.staticfiles", "games"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "games.middleware.default_headers",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "games.middleware.DatabaseErrors",
]
ROOT_URLCONF = "familygames.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"builtins": ["django.templatetags.static"]},
    }
]

STATIC_URL = "/static/"
STATIC_ROOT = os.environ.get("STATIC_ROOT") or BASE_DIR / "staticfiles"
STORAGES = {
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage",
        # Two releases share STATIC_ROOT while one replaces the other, so each keeps its own list of hashed names.
        "OPTIONS": {
            "manifest_storage": FileSystemStorage(location=os.environ.get("STATIC_MANIFEST_DIR") or BASE_DIR),
        },
    },
}

USE_I18N = False
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"

# TLS ends at the balancer, which must overwrite this header on every request.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"django": {"handlers": [], "level": "INFO", "propagate": True}},
}
