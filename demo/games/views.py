"""The pages for visitors. Those that say so are kept in Memcached (see cache.py)."""

import pymongo
from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.paginator import InvalidPage, Paginator
from django.http import Http404, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from mongoengine.errors import NotUniqueError

from . import search as index
from . import tasks
from .cache import cached_page, forget
from .forms import BrowseForm, GameForm, ImportForm, ReviewForm, SearchForm
from .models import AGES, CATEGORIES, WRITE_SECONDS, Game, Import, Review, Week
from .queue import send

GAMES_PER_PAGE = 24
LAST_SEARCH_PAGE = 100
SEARCH_RETRY_SECONDS = 15
FEATURED = 8
REVIEWS_SHOWN = 50
CARD_FIELDS = ["title", "summary", "categories", "min_age", "min_players", "max_players", "minutes"]
CARD_FIELDS += ["rating_count", "rating_sum"]


class GamePaginator(Paginator):
    """Counts in MongoDB and exactly: MongoEngine's own count of a whole collection is an estimate."""

    @cached_property
    def count(self):
        return Game._get_collection().count_documents(self.object_list._query)


@require_safe
@cached_page(tags=lambda: ["catalogue", "ratings"])
def home(request):
    """What the site is, featured games, and the ways in by age and kind."""
    featured = Game.objects(featured=True).only(*CARD_FIELDS).order_by("title").limit(FEATURED)
    return render(
        request,
        "games/home.html",
        {
            "featured": featured,
            "form": BrowseForm(),
            "ages": AGES,
            "categories": CATEGORIES.items(),
            "total": Game.objects.count(),
        },
    )


@require_safe
@cached_page(tags=lambda: ["catalogue", "ratings"], query=["age", "category", "page"])
def browse(request):
    """Games by age and kind. A value that makes no sense is a 400; a page past the last one is a 404."""
    form = BrowseForm(request.GET)
    if not form.is_valid():
        raise BadRequest(form.errors.as_json())
    filters = {name: form.cleaned_data[name] for name in ("age", "category") if form.cleaned_data[name]}
    games = Game.objects.only(*CARD_FIELDS).order_by("title")
    if "age" in filters:
        games = games.filter(min_age__lte=filters["age"])
    if "category" in filters:
        games = games.filter(categories=filters["category"])
    try:
        page = GamePaginator(games, GAMES_PER_PAGE).page(form.cleaned_data["page"] or 1)
    except InvalidPage as error:
        raise Http404(error) from error
    return render(
        request,
        "games/browse.html",
        {
            "form": form,
            "page": page,
            "page_range": _page_range(page),
            "filters": QueryDict(urlencode(filters)),
            "kind": CATEGORIES.get(filters.get("category")),
        },
    )


@require_safe
@cached_page(tags=lambda slug: ["catalogue", f"game:{slug}"])
def game(request, slug):
    """A game and its newest reviews."""
    found = _get_game(slug)
    reviews = Review.objects(game=slug).order_by("-created").limit(REVIEWS_SHOWN)
    return render(request, "games/game.html", {"game": found, "reviews": reviews})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def review(request, slug):
    """The form for a review. A good one is saved and the visitor sent back to the game."""
    found = _get_game(slug)
    form = ReviewForm(request.POST if request.method == "POST" else None, label_suffix="")
    if form.is_valid():
        try:
            found.add_review(**form.cleaned_data)
        finally:
            # Even after an error: the write may have been done and only its answer lost.
            forget("ratings", f"game:{slug}")
        send(tasks.refresh_game, slug)
        return redirect("game", slug=slug)
    return render(request, "games/review.html", {"game": found, "form": form}, status=422 if form.is_bound else 200)


@never_cache
@require_safe
def search(request):
    """Games by their words, and by age and kind. 503 with a plain message while no server of the search answers."""
    form = SearchForm(request.GET)
    if not form.is_valid():
        raise BadRequest(form.errors.as_json())
    filters = {name: form.cleaned_data[name] for name in ("q", "age", "category") if form.cleaned_data[name]}
    number = form.cleaned_data["page"] or 1
    if "q" not in filters:
        return render(request, "games/search.html")
    if number > LAST_SEARCH_PAGE:
        raise Http404(f"No page {number}.")
    try:
        found = index.find(filters["q"], filters.get("age"), filters.get("category"), number)
    except index.Unavailable:
        response = render(request, "games/search_away.html", {"query": filters["q"]}, status=503)
        response.headers["Retry-After"] = str(SEARCH_RETRY_SECONDS)
        return response
    try:
        page = Paginator(range(min(found.total, LAST_SEARCH_PAGE * GAMES_PER_PAGE)), GAMES_PER_PAGE).page(number)
    except InvalidPage as error:
        raise Http404(error) from error
    return render(
        request,
        "games/search.html",
        {
            "query": filters["q"],
            "found": found,
            "page": page,
            "page_range": _page_range(page),
            "filters": QueryDict(urlencode(filters)),
            "age": filters.get("age"),
            "kind": filters.get("category"),
            "kinds": [(key, label, found.categories.get(key, 0)) for key, label in CATEGORIES.items()],
        },
    )


@never_cache
@require_safe
def suggest(request):
    """Games whose titles begin like what is being typed, as JSON. Nothing while search is away: typing goes on."""
    text = request.GET.get("q", "")[: SearchForm.base_fields["q"].max_length]
    try:
        found = index.suggest(text)
    except index.Unavailable:
        found = []
    return JsonResponse({"games": [{"title": title, "path": reverse("game", args=[slug])} for title, slug in found]})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def add(request):
    """The form by which a visitor adds a game."""
    form = GameForm(request.POST if request.method == "POST" else None, label_suffix="")
    if form.is_valid():
        game = form.game()
        try:
            with pymongo.timeout(WRITE_SECONDS):
                game.save(force_insert=True)
        except NotUniqueError:
            form.add_error("title", "There is a game with this title already.")
        else:
            send(tasks.refresh_game, game.slug)
            return redirect("game", slug=game.slug)
        finally:
            forget("catalogue")
    return render(request, "games/add.html", {"form": form}, status=422 if form.is_bound else 200)


@require_safe
@cached_page(tags=lambda: ["catalogue", "ratings", "week"])
def week(request):
    """The games of the week, as the last `rebuild_week` chose them."""
    chosen = Week.objects.first()
    games = Game.objects.only(*CARD_FIELDS).in_bulk(chosen.games) if chosen else {}
    games = [games[slug] for slug in chosen.games if slug in games] if chosen else []
    return render(request, "games/week.html", {"week": chosen, "games": games})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request):
    """The form for a catalogue file, which a task imports. It needs a password; without one the page is off."""
    if not settings.IMPORT_PASSWORD:
        raise Http404("The import page is off.")
    posted = request.method == "POST"
    form = ImportForm(request.POST if posted else None, request.FILES if posted else None, label_suffix="")
    status = 422 if form.is_bound else 200
    if form.is_valid():
        job = Import(content=form.cleaned_data["file"])
        with pymongo.timeout(WRITE_SECONDS):
            job.save(force_insert=True)
        if send(tasks.import_catalogue, job.id):
            return redirect("progress", id=job.id)
        job.delete()
        form.add_error(None, "The queue of tasks is away for a moment. Please send the file once more in a while.")
        status = 503
    return render(request, "games/import.html", {"form": form}, status=status)


@never_cache
@require_safe
def progress(request, id):
    """How far an import is."""
    job = Import.objects(id=id).exclude("content").first() if settings.IMPORT_PASSWORD else None
    if job is None:
        raise Http404(f"No import {id}.")
    return render(request, "games/progress.html", {"job": job})


def _page_range(page):
    return page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1)


def _get_game(slug):
    """The game called `slug`; Http404 if there is none."""
    found = Game.objects(slug=slug).first()
    if found is None:
        raise Http404(f"No game {slug}.")
    return found
