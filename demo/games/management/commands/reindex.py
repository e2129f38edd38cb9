from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from pymongo import ReadPreference
from tqdm import tqdm

from games import search
from games.models import Game


class Command(BaseCommand):
    help = "Write the games into the search index, and take those out that MongoDB no longer has. Safe to run again."

    def add_arguments(self, parser):
        parser.add_argument(
            "--if-needed",
            action="store_true",
            help="only the games whose copy in the index is missing or old; no failure if search is away",
        )

    def handle(self, *args, if_needed, **options):
        if not settings.SOLR_URLS:
            return self._without_search("SOLR_URLS is empty: there is no search.", if_needed)
        try:
            stale, gone = search.differences()
            if not if_needed:
                stale = list(Game.objects.read_preference(ReadPreference.PRIMARY).scalar("slug"))
            with tqdm(total=len(stale), unit=" games", disable=None) as bar:
                for done, size in search.index_all(stale):
                    bar.update(size)
                    if bar.disable:
                        self.stdout.write(f"{done} of {len(stale)} games")
            search.remove(gone)
            search.commit()
        except search.Unavailable as error:
            return self._without_search(f"Search can't be reached: {error}", if_needed)
        self.stdout.write(f"{len(stale)} games indexed, {len(gone)} removed")

    def _without_search(self, message, bear):
        if not bear:
            raise CommandError(message)
        self.stderr.write(f"{message} Run reindex later.")
