"""Say in words which entries of a variable can't be right.

Ours, since an argument spec can tell a type and a choice, and no range or pattern, and does not name the entry.
"""

from __future__ import annotations

from collections import Counter

from ansible.plugins.loader import test_loader

UNTOLD = {"certificates", "secret"}
"""Tests of values that no message shows."""


def mistakes(entries, variable="", **tests):
    """Return a sentence for each value that fails its test, and for each name that several entries have.

    ``entries`` are dictionaries with a ``name``, or one dictionary alone, such as one of whole variables. ``tests`` has
    for each key a test of plugins/test, or a list of a test and its arguments; ``whole`` is the entry itself. A key
    that an entry lacks is left to the argument spec.
    """
    if isinstance(entries, dict):
        return sentences(entries, variable, tests)
    found = [line for entry in entries for line in sentences(entry, f"{variable}['{entry['name']}']", tests)]
    names = Counter(entry["name"] for entry in entries)
    return found + [f"{variable} has several entries called {name}." for name in names if names[name] > 1]


def sentences(entry, where, tests):
    """Return a sentence for each value of an entry that fails its test."""
    found = []
    for key, test in tests.items():
        test, *arguments = [test] if isinstance(test, str) else test
        value = entry if key == "whole" else entry.get(key)
        if value is not None and not test_loader.get(test).j2_function(value, *arguments):
            path = where if key == "whole" else f"{where}.{key}" if where else key
            said = "" if test in UNTOLD else f" is {value!r}; it"
            found.append(f"{path}{said} takes {wanted(test, arguments)}.")
    return found


def wanted(test, arguments):
    """Return in words what passes a test."""
    if test in ("dict_of", "list_of"):
        arguments = [wanted(*arguments, [])]
    words = test_loader.get(test).j2_function.takes
    return words.format(
        *(one if isinstance(one, str | int) else ", ".join(map(str, one)) or "nothing" for one in arguments)
    )


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Return the filters by their names."""
        return {"mistakes": mistakes}
