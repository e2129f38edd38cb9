"""A command that leaves a trace, and fails if it is told to."""

import os
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from tiny import release


class Command(BaseCommand):
    """Append the release's name to a file in the home folder."""

    def add_arguments(self, parser):
        parser.add_argument("words", nargs="*")

    def handle(self, *, words, **options):
        if "fail" in words:
            raise CommandError(f"told to fail, with {os.environ['SECRET_KEY']} and {os.environ['BROKER_PASSWORD']!r}")
        with (Path.home() / "notes").open("a") as notes:
            notes.write(f"{release.NAME}: {'/'.join(words)}\n")
