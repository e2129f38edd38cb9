from pathlib import Path

import pymongo
from django.apps import apps
from django.core.management.base import BaseCommand, CommandError

from games import catalogue, tasks
from games.cache import forget
from games.queue import send

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
        with pymongo.timeout(WRITE_SECONDS):
            result = catalogue.write(games)
        if result.upserted_count or result.modified_count:
            forget("catalogue")
            send(tasks.sweep)
        unchanged = result.matched_count - result.modified_count
        self.stdout.write(
            f"{len(games)} games: {result.upserted_count} added, {result.modified_count} changed, {unchanged} unchanged"
        )


def _read(path):
    """The games in `path`, checked, as they are stored in MongoDB. CommandError names the entry that is wrong."""
    try:
        games, errors = catalogue.check(catalogue.parse(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: {error}") from error
    if errors:
        raise CommandError(f"{path}: {errors[0]}")
    return games
