"""The site's pages."""

import os
import time
from pathlib import Path

from django.http import HttpResponse, JsonResponse
from django.templatetags.static import static
from django.urls import path, re_path

from tiny import release


def home(request):
    """Tell what the process is and sees."""
    return JsonResponse(
        {
            "release": release.NAME,
            "folder": str(Path.cwd()),
            "style": static("tiny.css"),
            "environment": dict(os.environ),
            "user": os.getuid(),
            "pid": os.getpid(),
            "length": len(request.body),
        }
    )


def slow(request):
    """Answer after a second."""
    time.sleep(1)
    return HttpResponse(release.NAME)


def write(request):
    """Try to write into the folder."""
    try:
        (Path(request.GET["folder"]) / "written").write_text("by the site")
    except OSError as error:
        return HttpResponse(error.strerror, status=403)
    return HttpResponse("written")


def sent(request, rest):
    """Tell what the request says."""
    return JsonResponse({"path": request.path, "query": request.META["QUERY_STRING"]})


def ready(request):
    """Tell whether the site is well."""
    return HttpResponse(release.NAME, status=200 if release.is_ready(request.META) else 503)


urlpatterns = [
    path("", home),
    path("slow", slow),
    path("write", write),
    path("readyz", ready),
    re_path("(?s)^sent(.*)$", sent),
]
