"""The documents in MongoDB: games, the reviews that families write about them, the games of the week, and imports."""

import secrets
from datetime import UTC, datetime
from zlib import crc32

import pymongo
from mongoengine import (
    BooleanField,
    DateTimeField,
    Document,
    IntField,
    ListField,
    StringField,
    ValidationError,
)
from mongoengine.connection import get_connection
from pymongo import ReadPreference

CATEGORIES = {
    "board": "Board games",
    "building": "Building games",
    "cards": "Card games",
    "dice": "Dice games",
    "drawing": "Drawing games",
    "memory": "Memory games",
    "numbers": "Number games",
    "outdoor": "Outdoor games",
    "party": "Party games",
    "puzzle": "Puzzles",
    "stories": "Story games",
    "teamwork": "Team games",
    "words": "Word games",
}
AGES = [2, 3, 4, 5, 6, 7, 8, 10, 12, 14]
WRITE_SECONDS = 15  # an election takes about ten
RECOUNTS = 10


def now():
    return datetime.now(UTC)


class Game(Document):
    """A game. `rating_count` and `rating_sum` are kept in step with its reviews by `add_review`."""

    slug = StringField(primary_key=True, max_length=80, regex=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title = StringField(required=True, max_length=80)
    summary = StringField(required=True, max_length=200)
    description = StringField(required=True, max_length=2000)
    categories = ListField(StringField(choices=list(CATEGORIES.items())), required=True)
    min_age = IntField(required=True, min_value=2, max_value=18)
    min_players = IntField(required=True, min_value=1, max_value=99)
    max_players = IntField(required=True, min_value=1, max_value=99)
    minutes = IntField(required=True, min_value=1, max_value=600)
    year = IntField(required=True, min_value=1900, max_value=2100)
    featured = BooleanField(default=False)
    rating_count = IntField(default=0)
    rating_sum = IntField(default=0)

    meta = {
        "collection": "games",
        "auto_create_index": False,
        "indexes": ["title", ("categories", "title"), ("featured", "title")],
    }

    def clean(self):
        if self.min_players > self.max_players:
            raise ValidationError("min_players is greater than max_players")

    @property
    def rating(self):
        """The average rating, 1.0 to 5.0, or None while there is no review."""
        return self.rating_sum / self.rating_count if self.rating_count else None

    @property
    def kinds(self):
        """The categories as (key, label) pairs, the main one first."""
        return [(key, CATEGORIES[key]) for key in self.categories]

    @property
    def tint(self):
        """0 to 5, always the same for the same game: the shade of its cover."""
        return crc32(self.slug.encode()) % 6

    def add_review(self, **fields):
        """Save a review (`name`, `rating`, `text`) and count it, both or neither.

        It waits for a primary if MongoDB is electing one. PyMongoError if that takes more than WRITE_SECONDS; the
        review may have been saved all the same.
        """
        review = Review(game=self.slug, **fields)
        review.validate()
        rating = {"rating_count": 1, "rating_sum": review.rating}

        def write(session):
            Review._get_collection().insert_one(review.to_mongo(), session=session)
            Game._get_collection().update_one({"_id": self.slug}, {"$inc": rating}, session=session)

        with pymongo.timeout(WRITE_SECONDS), get_connection().start_session() as session:
            session.with_transaction(write)

    @classmethod
    def recount(cls, slug):
        """Set a game's rating to what its reviews say. True if it was anything else.

        It waits for a primary if MongoDB is electing one. PyMongoError or OperationError if that takes more than
        WRITE_SECONDS.
        """
        with pymongo.timeout(WRITE_SECONDS):
            # Not in a transaction: that of a worker which is killed would lock the game for a minute.
            for _ in range(RECOUNTS):
                game = cls.objects(slug=slug).read_preference(ReadPreference.PRIMARY).first()
                reviews = Review.objects(game=slug).read_preference(ReadPreference.PRIMARY)
                rating = {"rating_count": reviews.count(), "rating_sum": int(reviews.sum("rating"))}
                if game is None or rating == {name: getattr(game, name) for name in rating}:
                    return False
                # A review that came meanwhile has changed the rating, so that this finds no game, and counts again.
                unchanged = cls.objects(slug=slug, rating_count=game.rating_count, rating_sum=game.rating_sum)
                # An update of one document, other than one of many, is tried again when its primary dies.
                if unchanged.update_one(**rating):
                    return True
        return False


class Review(Document):
    """What one visitor thinks of a game."""

    game = StringField(required=True)
    name = StringField(required=True, max_length=40)
    rating = IntField(required=True, min_value=1, max_value=5)
    text = StringField(required=True, max_length=2000)
    created = DateTimeField(default=now)

    meta = {"collection": "reviews", "auto_create_index": False, "indexes": [("game", "-created")]}


class Week(Document):
    """The games of the week: one document, which the task `rebuild_week` writes anew."""

    id = StringField(primary_key=True, default="week")
    rebuilt = DateTimeField(required=True)
    games = ListField(StringField())

    meta = {"collection": "week", "auto_create_index": False}


class Import(Document):
    """A catalogue file that was uploaded, and how far the task `import_catalogue` is with it."""

    WAITING, RUNNING, DONE, REFUSED, FAILED = "waiting", "running", "done", "refused", "failed"

    # Whoever has the address may see the progress, so it can't be guessed.
    id = StringField(primary_key=True, default=lambda: secrets.token_urlsafe(16))
    content = StringField()
    state = StringField(required=True, default=WAITING)
    total = IntField(default=0)
    done = IntField(default=0)
    added = IntField(default=0)
    changed = IntField(default=0)
    attempts = IntField(default=0)
    errors = ListField(StringField())
    created = DateTimeField(default=now)
    updated = DateTimeField(default=now)

    meta = {
        "collection": "imports",
        "auto_create_index": False,
        "indexes": [("state", "updated"), {"fields": ["created"], "expireAfterSeconds": 30 * 24 * 3600}],
    }

    @property
    def ended(self):
        return self.state not in {self.WAITING, self.RUNNING}

    @property
    def unchanged(self):
        return self.total - self.added - self.changed
