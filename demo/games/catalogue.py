"""Catalogue files: a JSON list of games, as load_games and the import page take them."""

import json

import pymongo
from mongoengine.errors import ValidationError

from .models import Game

FIELDS = set(Game._fields) - {"rating_count", "rating_sum"}


def parse(content):
    """The entries of a file's `content`, not yet checked one by one; ValueError if it is no list of games."""
    try:
        entries = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(entries, list) or not entries:
        raise ValueError("expected a list of games")
    return entries


def check(entries):
    """The games among `entries` as they are stored in MongoDB, and a message for each entry that isn't one."""
    games, slugs, errors = [], set(), []
    for number, entry in enumerate(entries, start=1):
        try:
            fields = _check(entry)
            if fields["_id"] in slugs:
                raise ValueError("the slug is used twice")
        except (ValueError, TypeError, ValidationError) as error:
            slug = entry.get("slug") if isinstance(entry, dict) else entry
            errors.append(f"entry {number} ({repr(slug)[:90]}): {error}")
        else:
            slugs.add(fields["_id"])
            games.append(fields)
    return games, errors


def compare(games):
    """How many of the checked `games` are new, and how many differ from what MongoDB holds."""
    stored = Game._get_collection().find({"_id": {"$in": [fields["_id"] for fields in games]}})
    stored = {fields["_id"]: fields for fields in stored}
    known = [fields for fields in games if fields["_id"] in stored]
    changed = [fields for fields in known if not fields.items() <= stored[fields["_id"]].items()]
    return len(games) - len(known), len(changed)


def write(games):
    """Add the checked `games`, or update them by slug; MongoDB's report. Reviews and ratings are kept."""
    writes = [
        pymongo.UpdateOne(
            {"_id": fields["_id"]},
            {"$set": fields, "$setOnInsert": {"rating_count": 0, "rating_sum": 0}},
            upsert=True,
        )
        for fields in games
    ]
    return Game._get_collection().bulk_write(writes, ordered=False)


def _check(entry):
    """The fields of one entry as they are stored; ValueError or ValidationError if they aren't a game's."""
    if not isinstance(entry, dict):
        raise ValueError("expected an object")
    if wrong := entry.keys() ^ FIELDS:
        raise ValueError(f"missing or unknown: {', '.join(sorted(wrong))}")
    json.dumps(entry, ensure_ascii=False).encode()  # JSON knows halves of characters, which MongoDB refuses.
    game = Game(**entry)
    game.validate()
    return {name: value for name, value in game.to_mongo().items() if name not in {"rating_count", "rating_sum"}}
