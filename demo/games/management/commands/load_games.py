import json
from pathlib import Path

import pymongo
from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from mongoengine.errors import ValidationError

from games.cache import forget
from games.models import Game

FIELDS = set(Game._fields) - {"rating_count", "rating_sum"}
WRITE_SECONDS = 60


class Command(BaseCommand):
    help = "Add the games of a JSON file, or update them by slug. Reviews and ratings are kept. Safe to run again."

    def add_arguments(self, parser):
        parser.add_argument(
            "path",
            nargs="?",
            type=Path,
            default=Path(apps.get_app_config("games").path, "data", "games.json"),
            help="a list of games (default: the demo's own)",
        )

    def handle(self, *args, path, **options):
        games = _read(path)
        writes = [
            pymongo.UpdateOne(
                {"_id": fields.pop("_id")},
                {"$set": fields, "$setOnInsert": {"rating_count": 0, "rating_sum": 0}},
                upsert=True,
            )
            for fields in games
        ]
        with pymongo.timeout(WRITE_SECONDS):
            result = Game._get_collection().bulk_write(writes, ordered=False)
        if result.upserted_count or result.modified_count:
            forget("catalogue")
        unchanged = result.matched_count - result.modified_count
        self.stdout.write(
            f"{len(games)} games: {result.upserted_count} added, {result.modified_count} changed, {unchanged} unchanged"
        )


def _read(path):
    """The games in `path`, checked, as they are stored in MongoDB. CommandError names the entry that is wrong."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise CommandError(f"{path}: expected a list of games")
    games, slugs = [], set()
    for number, entry in enumerate(entries, start=1):
        try:
            fields = _check(entry)
            if fields["_id"] in slugs:
                raise ValueError("the slug is used twice")
        except (ValueError, TypeError, ValidationError) as error:
            slug = entry.get("slug") if isinstance(entry, dict) else entry
            raise CommandError(f"{path}: entry {number} ({slug!r}): {error}") from error
        slugs.add(fields["_id"])
        games.append(fields)
    return games


def _check(entry):
    """The fields of one entry as they are stored; ValueError or ValidationError if they aren't a game's."""
    if not isinstance(entry, dict):
        raise ValueError("expected an object")
    if wrong := entry.keys() ^ FIELDS:
        raise ValueError(f"missing or unknown: {', '.join(sorted(wrong))}")
    game = Game(**entry)
    game.validate()
    return {name: value for name, value in game.to_mongo().items() if name not in {"rating_count", "rating_sum"}}
