"""The documents in MongoDB: games, and the reviews that families write about them."""

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
REVIEW_SECONDS = 15  # an election takes about ten


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

        It waits for a primary if MongoDB is electing one. PyMongoError if that takes more than REVIEW_SECONDS; the
        review may have been saved all the same.
        """
        review = Review(game=self.slug, **fields)
        review.validate()
        rating = {"rating_count": 1, "rating_sum": review.rating}

        def write(session):
            Review._get_collection().insert_one(review.to_mongo(), session=session)
            Game._get_collection().update_one({"_id": self.slug}, {"$inc": rating}, session=session)

        with pymongo.timeout(REVIEW_SECONDS), get_connection().start_session() as session:
            session.with_transaction(write)


class Review(Document):
    """What one visitor thinks of a game."""

    game = StringField(required=True)
    name = StringField(required=True, max_length=40)
    rating = IntField(required=True, min_value=1, max_value=5)
    text = StringField(required=True, max_length=2000)
    created = DateTimeField(default=lambda: datetime.now(UTC))

    meta = {"collection": "reviews", "auto_create_index": False, "indexes": [("game", "-created")]}
