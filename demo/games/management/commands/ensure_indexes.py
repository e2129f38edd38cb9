from django.core.management.base import BaseCommand

from games.models import Game, Import, Review


class Command(BaseCommand):
    help = "Create the indexes that the documents declare. Safe to run again."

    def handle(self, *args, **options):
        for document in (Game, Review, Import):
            document.ensure_indexes()
            names = sorted(document._get_collection().index_information())
            self.stdout.write(f"{document._get_collection_name()}: {', '.join(names)}")
