"""What script/lib.sh gives the scripts, run by a real bash."""

import os
import subprocess

import pytest
from conftest import PROJECT

PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - name: Fail
      ansible.builtin.command: "sh -c 'echo the disk is {{ item }} >&2; exit 1'"
      loop: [full, broken]
    - name: Never get here
      ansible.builtin.debug:
        msg: quite well
"""


@pytest.fixture
def step(tmp_path):
    """Return a function that runs a command as a step, with its log in tmp_path, and returns how it ended."""

    def run(*command):
        script = 'set -euo pipefail; . script/lib.sh; log_folder=$1; shift; step "Try it" "$@"; echo went on'
        arguments = ["bash", "-c", script, "bash", tmp_path, *command]
        environment = os.environ | {"step_times": str(tmp_path / "times.tsv")}
        return subprocess.run(
            arguments, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_a_step_that_ends_well_is_one_line(step, tmp_path):
    done = step("echo", "much ado")
    first, *others = done.stdout.splitlines()
    assert first.endswith("s  Try it")
    assert (others, done.stderr, done.returncode) == (["went on"], "", 0)
    assert (tmp_path / "try-it.log").read_text() == "much ado\n"
    title, *times = (tmp_path / "times.tsv").read_text().rstrip("\n").split("\t")
    assert title == "Try it"
    assert [float(seconds) >= 0 for seconds in times] == [True] * 3


def test_a_step_that_fails_ends_the_script_and_shows_the_end_of_its_log(step, tmp_path):
    done = step("sh", "-c", "seq 20; exit 3")
    assert done.returncode == 1
    assert "went on" not in done.stdout
    last = f"'Try it' failed. The whole log: {tmp_path}/try-it.log"
    assert done.stderr.splitlines() == [*map(str, range(11, 21)), last]


@pytest.mark.parametrize("color", ["0", "1"])
def test_a_step_that_fails_shows_what_the_failed_tasks_said_far_up_in_the_log(step, tmp_path, monkeypatch, color):
    monkeypatch.setenv("ANSIBLE_FORCE_COLOR", color)
    (tmp_path / "fail.yml").write_text(PLAYBOOK)
    done = step("sh", "-c", f"ansible-playbook {tmp_path}/fail.yml; code=$?; seq 20; exit $code")
    assert done.returncode == 1
    assert "failed: [localhost] (item=full)" in done.stderr
    assert "the disk is full" in done.stderr
    assert "the disk is broken" in done.stderr


def test_a_step_that_fails_names_the_failed_tests(step, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "test_it.py").write_text("def test_sum():\n    assert 1 + 1 == 3\n")
    done = step("sh", "-c", f"pytest -p no:cacheprovider {tmp_path}/test_it.py; code=$?; seq 20; exit $code")
    assert done.returncode == 1
    assert "E       assert (1 + 1) == 3" in done.stderr
    assert "::test_sum - assert (1 + 1) == 3" in done.stderr
