"""The WSGI callable, `application`. Importing it connects to nothing: a prefork server imports first, then forks."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "familygames.settings")

application = get_wsgi_application()
