"""Settings of the site. Whatever differs between deployments comes from the environment; README.md lists the names."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage
from redis.backoff import NoBackoff
from redis.retry import Retry

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


def seconds(name, default, least=0):
    """The environment variable `name` as a whole number of seconds; ImproperlyConfigured if it is anything else."""
    value = os.environ.get(name, str(default))
    if not value.isdecimal():
        raise ImproperlyConfigured(f"The environment variable {name} must be a whole number of seconds, not {value!r}.")
    if int(value) < least:
        raise ImproperlyConfigured(f"The environment variable {name} must be at least {least}, not {value}.")
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

SOLR_URLS = listed("SOLR_URLS")

BROKER_URL = os.environ.get("BROKER_URL", "")
BROKER_PRIMARY_NAME = os.environ.get("BROKER_PRIMARY_NAME") or "main"
TASK_SECONDS = seconds("TASK_SECONDS", 300, least=5)
WEEK_SECONDS = seconds("WEEK_SECONDS", 3600, least=1)
SWEEP_SECONDS = seconds("SWEEP_SECONDS", 60, least=1)

# For those who can't wait, such as a visitor's request that sends a task.
BROKER_TIMEOUTS = {"socket_connect_timeout": 0.3, "socket_timeout": 0.3}
_brokers = [urlsplit(url) for url in BROKER_URL.split(";")]
# So many replicas must have a task before it counts as sent.
BROKER_REPLICAS = 1 if len(_brokers) > 1 else 0
_login = {
    name: unquote(value)
    for name, value in (("username", _brokers[0].username), ("password", _brokers[0].password))
    if value
}
_sentinel_options = {**_login, **BROKER_TIMEOUTS, "retry": Retry(NoBackoff(), 0)}

CELERY_BROKER_URL = BROKER_URL or "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # A task whose worker was lost is given to another one after this time, so it must be longer than any task takes.
    "visibility_timeout": TASK_SECONDS + max(2, TASK_SECONDS // 10),
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": 1,
    "socket_timeout": 5,
    "socket_keepalive": True,
    "max_retries": 1,
    "interval_start": 0,
    "interval_max": 0.1,
    "master_name": BROKER_PRIMARY_NAME,
    "sentinel_kwargs": _sentinel_options,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# The state of a long task is in MongoDB, where the page that shows it can find it.
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# A task goes on when its worker loses Redis. It is run again afterwards, as every task here may be.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_TASK_TIME_LIMIT = TASK_SECONDS
CELERY_TASK_SOFT_TIME_LIMIT = TASK_SECONDS * 9 // 10
CELERY_TASK_ROUTES = {"games.tasks.import_catalogue": {"queue": "imports"}}

# Several beats may run: the one that holds a lock in Redis sends the tasks, and another takes over when it is gone.
CELERY_BEAT_SCHEDULER = "redbeat.RedBeatScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
CELERY_BEAT_SCHEDULE = {
    name: {"task": f"games.tasks.{name}", "schedule": every, "options": {"expires": every}}
    for name, every in (("rebuild_week", WEEK_SECONDS), ("sweep", SWEEP_SECONDS))
}
REDBEAT = {
    "redbeat_key_prefix": "familygames:beat:",
    "redbeat_lock_key": "lock",
    "redbeat_lock_timeout": 20,
    "redbeat_redis_url": CELERY_BROKER_URL,
    "redbeat_redis_options": {"socket_connect_timeout": 1, "socket_timeout": 5},
}
if _brokers[0].scheme == "sentinel":
    REDBEAT["redbeat_redis_url"] = "redis-sentinel://"
    REDBEAT["redbeat_redis_options"] = {
        "sentinels": [(broker.hostname, broker.port or 26379) for broker in _brokers],
        "service_name": BROKER_PRIMARY_NAME,
        "sentinel_kwargs": _sentinel_options,
        "db": int(_brokers[0].path.strip("/") or 0),
        "socket_timeout": 5,
        **_login,
    }

IMPORT_PASSWORD = os.environ.get("IMPORT_PASSWORD", "")
IMPORT_MAX_BYTES = 8 * 1024 * 1024
IMPORT_MAX_GAMES = 5000
# A larger upload is read and dropped: nobody fills the memory or the disk with it.
FILE_UPLOAD_MAX_MEMORY_SIZE = IMPORT_MAX_BYTES
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]

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
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # What fails is said once, in a line of games.search.
        "pysolr": {"level": "CRITICAL"},
    },
}
