"""The pages for visitors. All but the review form are kept in Memcached (see cache.py)."""

from django.core.exceptions import BadRequest
from django.core.paginator import InvalidPage, Paginator
from django.http import Http404, QueryDict
from django.shortcuts import redirect, render
from django.utils.functional import cached_property
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from .cache import cached_page, forget
from .forms import BrowseForm, ReviewForm
from .models import AGES, CATEGORIES, Game, Review

GAMES_PER_PAGE = 24
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
            "page_range": page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1),
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
        return redirect("game", slug=slug)
    return render(request, "games/review.html", {"game": found, "form": form}, status=422 if form.is_bound else 200)


def _get_game(slug):
    """The game called `slug`; Http404 if there is none."""
    found = Game.objects(slug=slug).first()
    if found is None:
        raise Http404(f"No game {slug}.")
    return found
