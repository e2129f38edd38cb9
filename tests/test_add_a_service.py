"""docs/add-a-service.md, followed to the letter in a copy of the project."""

import re
import shutil
import subprocess
import sys

import pytest
from conftest import PROJECT

DOCUMENT = (PROJECT / "docs/add-a-service.md").read_text()
STEP = re.compile(
    r"(?:Write|In)\s+`(?P<path>[^`]+)`(?:, (?P<where>above|below) `(?P<line>[^`]+)`)?:\n\n"
    r"(?P<fence>`{3,})\w+\n(?P<text>.*?)^(?P=fence)\n",
    re.DOTALL | re.MULTILINE,
)


@pytest.fixture
def copy(tmp_path):
    """A copy of the project with the service that the document adds."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True)
    vault = "inventories/local/group_vars/local/vault.yml"
    for name in [*files.stdout.split("\0")[:-1], vault]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name, follow_symlinks=False)
    for step in STEP.finditer(DOCUMENT):
        path, text = tmp_path / step["path"], step["text"]
        if step["where"]:
            before = path.read_text()
            assert before.count(f"\n{step['line']}\n") == 1, step["line"]
            both = (text, f"{step['line']}\n") if step["where"] == "above" else (f"{step['line']}\n", text)
            text = before.replace(f"\n{step['line']}\n", "\n" + "".join(both))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_every_step_of_the_document_is_one_that_the_test_follows():
    assert len(STEP.findall(DOCUMENT)) == DOCUMENT.count("```") // 2 - 2


def test_the_service_that_it_adds_keeps_the_conventions_and_is_known_to_the_firewall(copy):
    def run(*command):
        done = subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return done.stdout

    run(sys.executable, "-m", "pytest", "-q", "tests/test_conventions.py", "-k", "beanstalkd or site")
    run("yamllint", "--strict", ".")
    run("ruff", "check", ".")
    run("ruff", "format", "--check", ".")
    run("ansible-playbook", "playbooks/preflight.yml", "--limit", "data1")
    name = "ansible.builtin.debug"
    known = run("ansible", "data1", "-m", name, "-a", "var=firewall_services")
    assert "beanstalkd" in known
    assert ":11300" in run("ansible", "web1", "-m", name, "-a", "var=endpoints.beanstalkd")
