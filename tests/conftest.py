"""What the tests of the repository share. None of them needs a container."""

import importlib.util
import os
import subprocess
from pathlib import Path

import ansible.module_utils
import pytest

PROJECT = Path(__file__).parent.parent

# Where the modules import from, as by ansible.cfg.
ansible.module_utils.__path__.append(str(PROJECT / "plugins/module_utils"))


def load(path):
    """Import a file by its path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def playbook():
    """Run ansible-playbook from the project's root and return the finished process, its output on one line."""

    def run(*arguments, **environment):
        done = subprocess.run(
            ["ansible-playbook", *arguments],
            cwd=PROJECT,
            env=os.environ | {"ANSIBLE_FORCE_COLOR": "0"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        done.message = " ".join(done.stdout.split())
        return done

    return run
