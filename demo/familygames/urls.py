"""The site's addresses. The two health endpoints are the balancer's; every other page is a visitor's."""

from django.urls import path
from django.views.generic import TemplateView

from games import health, views

urlpatterns = [
    path("", views.home, name="home"),
    path("games/", views.browse, name="browse"),
    path("games/add/", views.add, name="add"),
    path("games/<slug:slug>/", views.game, name="game"),
    path("games/<slug:slug>/review/", views.review, name="review"),
    path("search/", views.search, name="search"),
    path("search/suggest/", views.suggest, name="suggest"),
    path("week/", views.week, name="week"),
    path("import/", views.upload, name="import"),
    path("import/<slug:id>/", views.progress, name="progress"),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("robots.txt", TemplateView.as_view(template_name="robots.txt", content_type="text/plain")),
]
