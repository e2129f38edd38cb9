"""Members of one set that disagree on who belongs to it are told apart, on the control machine alone."""

import json

import pytest

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - agree: {members: redis_members, address: redis_address}
"""


@pytest.fixture
def agree(playbook, tmp_path):
    """Run the plugin on hosts that have the given lists of members; a host's address is its name."""

    def run(**lists):
        hosts = {name: {"redis_address": name, "redis_members": members} for name, members in lists.items()}
        inventory = tmp_path / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts | {"stranger": {"redis_address": "stranger"}}}}))
        play = tmp_path / "play.yml"
        play.write_text(PLAY)
        return playbook(str(play), "--inventory", str(inventory), "--limit", ",".join(lists))

    return run


def test_equal_lists_pass(agree):
    members = ["a", "b", "c"]
    assert agree(a=members, b=members, c=members).returncode == 0


def test_sets_that_have_no_member_in_common_may_differ(agree):
    assert agree(a=["a", "b", "c"], b=["a", "b", "c"], c=["a", "b", "c"], d=["d"]).returncode == 0


def test_another_order_is_refused_and_every_list_named(agree):
    done = agree(a=["a", "b", "c"], b=["b", "a", "c"], c=["a", "b", "c"])
    assert done.returncode != 0
    for said in ("a says a, b, c", "b says b, a, c", "c says a, b, c", "redis_members must be the same"):
        assert said in done.message


def test_a_host_that_the_others_do_not_name_is_refused(agree):
    done = agree(a=["a"], d=["a", "d", "e"])
    assert done.returncode != 0
    assert "d says a, d, e" in done.message
