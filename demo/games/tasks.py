"""What is done in the background, by Celery's workers. Each task may run twice, or again after it was cut off."""

import logging
from datetime import timedelta
from zlib import crc32

import pymongo
from celery import shared_task
from django.conf import settings
from mongoengine.errors import OperationError
from pymongo import ReadPreference
from pymongo.errors import PyMongoError

from . import catalogue, search
from .cache import forget
from .models import WRITE_SECONDS, Game, Import, Review, Week, now
from .queue import send

logger = logging.getLogger(__name__)

WEEK_GAMES = 12
IMPORT_BATCH = 100
ATTEMPTS = 5
ERRORS_KEPT = 50
# A task that MongoDB fails is given to the workers again, after 1 s, 2 s, 4 s ...
AGAIN = {
    "autoretry_for": (PyMongoError, OperationError),
    "retry_backoff": True,
    # A task that waits counts as taken, so the waiting must end before the broker takes its worker for lost.
    "retry_backoff_max": max(1, settings.TASK_SECONDS // 2),
    "max_retries": ATTEMPTS,
}


@shared_task(**AGAIN)
def refresh_game(slug):
    """Recompute a game's rating from its reviews, and write the game into the search index."""
    if Game.recount(slug):
        forget("ratings", f"game:{slug}")
    _index([slug])


@shared_task
def sweep():
    """Make good what is missing: copies in the index, a first choice for the week, imports that nobody runs."""
    if settings.SOLR_URLS:
        try:
            stale, gone = search.differences()
            for _ in search.index_all(stale):
                pass
            search.remove(gone)
        except search.Unavailable as error:
            logger.warning("The index isn't compared: %s", error)
    if not Week.objects.first():
        rebuild_week()
    # By then the broker would have given the task of a lost worker to another one.
    silent_since = now() - 2 * timedelta(seconds=settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"])
    for job in Import.objects(state__in=[Import.WAITING, Import.RUNNING], updated__lt=silent_since).only("id"):
        job.update(updated=now())
        send(import_catalogue, job.id)


@shared_task(**AGAIN)
def rebuild_week():
    """Choose the games of the week: the best by their reviews of the last seven days, filled up with others."""
    best = Review._get_collection().aggregate(
        [
            {"$match": {"created": {"$gte": now() - timedelta(days=7)}}},
            # A review counts by how much better, or worse, than middling it is: many good ones beat a single one.
            {"$group": {"_id": "$game", "points": {"$sum": {"$subtract": ["$rating", 3]}}}},
            {"$match": {"points": {"$gt": 0}}},
            {"$sort": {"points": -1, "_id": 1}},
        ]
    )
    slugs = set(Game.objects.scalar("slug"))
    chosen = [entry["_id"] for entry in best if entry["_id"] in slugs]
    # The others are the same all week long, and other ones in the next.
    year_and_week = now().strftime("%G-%V")
    others = sorted(slugs - set(chosen), key=lambda slug: crc32(f"{year_and_week} {slug}".encode()))
    Week(rebuilt=now(), games=[*chosen, *others][:WEEK_GAMES]).save()
    forget("week")


@shared_task(**AGAIN)
def import_catalogue(id):
    """Write the games of an uploaded file, batch by batch, all or none; it goes on where an earlier run was cut off."""
    jobs = Import.objects(id=id, state__in=[Import.WAITING, Import.RUNNING]).read_preference(ReadPreference.PRIMARY)
    job = jobs.modify(inc__attempts=1, updated=now(), new=True)
    if job is None:
        return
    if job.attempts > ATTEMPTS:
        jobs.update(state=Import.FAILED, updated=now(), unset__content=True)
        return
    games, errors = catalogue.check(catalogue.parse(job.content))
    if errors:
        jobs.update(state=Import.REFUSED, errors=errors[:ERRORS_KEPT], updated=now(), unset__content=True)
        return
    if job.state == Import.WAITING:
        # Counted before anything is written: an import that is cut off and goes on must not count twice.
        added, changed = catalogue.compare(games)
        jobs.update(state=Import.RUNNING, total=len(games), added=added, changed=changed)
    for start in range(job.done, len(games), IMPORT_BATCH):
        batch = games[start : start + IMPORT_BATCH]
        with pymongo.timeout(WRITE_SECONDS):
            catalogue.write(batch)
        slugs = [fields["_id"] for fields in batch]
        forget("catalogue", *(f"game:{slug}" for slug in slugs))
        _index(slugs)
        jobs.update(max__done=start + len(batch), updated=now())
    jobs.update(state=Import.DONE, updated=now(), unset__content=True)


def _index(slugs):
    """Write the games called `slugs` into the search index; `sweep` does it later if search is away."""
    if not settings.SOLR_URLS:
        return
    try:
        for _ in search.index_all(slugs):
            pass
    except search.Unavailable as error:
        logger.warning("Not indexed yet: %s: %s", ", ".join(slugs)[:80], error)
