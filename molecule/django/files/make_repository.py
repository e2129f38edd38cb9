"""Make the bare repository that the scenario deploys from: make_repository.py PROJECT REPOSITORY."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

AUTHOR = {"NAME": "A tester", "EMAIL": "tester@example.org", "DATE": "2020-01-01T00:00:00Z"}
ENVIRONMENT = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in AUTHOR.items()}

RELEASE = "project/tiny/release.py"
REQUIREMENTS = "project/requirements.txt"
# For each version, the file, and what in it is replaced by what.
VERSIONS = {
    "v1": (RELEASE, "one", "one"),
    "v2": (RELEASE, "one", "two"),
    "v3": (RELEASE, "one", "three"),
    "broken": ("project/tiny/wsgi.py", "application =", "import an_engine_that_is_missing\n\napplication ="),
    "unready": (
        RELEASE,
        "return True",
        'import logging\n\n    logging.error("No engine.")\n    return False',
    ),
    # Well as long as it is asked alone, and not behind flup.
    "unready-live": (RELEASE, "return True", 'return not environ["wsgi.multiprocess"]'),
    # Loads as long as it is not for the service.
    "dead-live": (
        "project/tiny/wsgi.py",
        "application =",
        "import os\n\nif 'NOTIFY_SOCKET' in os.environ:\n"
        "    raise RuntimeError('no life without ' + os.environ['SECRET_KEY'])\n\napplication =",
    ),
    "wrong-hash": (
        REQUIREMENTS,
        "flup==1.0.3 \\\n    --hash=sha256:",
        "flup==1.0.3 \\\n    --hash=sha256:" + "0" * 64 + " #",
    ),
    "other-requirements": (REQUIREMENTS, "# via django", "# via Django"),
    "without-flup": (REQUIREMENTS, "flup==1.0.3", "flup==1.0.3 ; python_version < '3'"),
}


def git(folder, *arguments):
    """Run Git in the folder."""
    subprocess.run(["/usr/bin/git", *arguments], cwd=folder, env=ENVIRONMENT, check=True)


def main():
    """Commit the project, and each version on top of it under a tag."""
    project, repository = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(project, Path(folder) / "project", ignore=shutil.ignore_patterns("__pycache__"))
        git(folder, "init", "--quiet", "--initial-branch", "main")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message", "The project")
        for version, (name, old, new) in VERSIONS.items():
            git(folder, "checkout", "--quiet", "--detach", "main")
            path = Path(folder) / name
            content = path.read_text()
            if old not in content:
                sys.exit(f"{name} does not contain {old}")
            path.write_text(content.replace(old, new))
            git(folder, "commit", "--quiet", "--allow-empty", "--all", "--message", version)
            git(folder, "tag", version)
        shutil.rmtree(repository, ignore_errors=True)
        git(folder, "clone", "--quiet", "--bare", "--template=", ".", str(repository))


if __name__ == "__main__":
    main()
