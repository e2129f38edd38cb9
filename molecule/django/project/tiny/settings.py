"""Settings of a project that needs nothing but Django and flup."""

import os

from django.core.files.storage import FileSystemStorage

SECRET_KEY = os.environ["SECRET_KEY"]
if SECRET_KEY.startswith("refused"):
    raise ValueError(f"SECRET_KEY must not be {SECRET_KEY}")
ALLOWED_HOSTS = ["localhost"]
ROOT_URLCONF = "tiny.urls"
INSTALLED_APPS = ["django.contrib.staticfiles", "tiny"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
STATIC_URL = "/static/"
STATIC_ROOT = os.environ["STATIC_ROOT"]
STORAGES = {
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage",
        "OPTIONS": {"manifest_storage": FileSystemStorage(location=os.environ["STATIC_MANIFEST_DIR"])},
    },
}
