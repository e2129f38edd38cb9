"""Make the bare repository that the core is configured from: make_repository.py FOLDER REPOSITORY."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

AUTHOR = {"NAME": "A tester", "EMAIL": "tester@example.org", "DATE": "2020-01-01T00:00:00Z"}
ENVIRONMENT = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in AUTHOR.items()}

PLACE = "search/core"
TITLE = '<field name="title" type="text"/>'
LOWER = '<filter name="lowercase"/>'
# For each version, the file, and what in it is replaced by what.
VERSIONS = {
    "v1": ("schema.xml", TITLE, TITLE),
    "another-field": ("schema.xml", TITLE, TITLE + '\n  <field name="maker" type="string"/>'),
    "other-analysis": (
        "schema.xml",
        '<filter name="lowercase"/>',
        '<filter name="lowercase"/>\n      <filter name="porterStem"/>',
    ),
    "other-stopwords": ("stopwords.txt", "the", "the\nof"),
    "broken": ("schema.xml", TITLE, '<field name="title" type="tetx"/>'),
    "without-schema": ("schema.xml", None, None),
}


def git(folder, *arguments):
    """Run Git in the folder."""
    subprocess.run(["/usr/bin/git", *arguments], cwd=folder, env=ENVIRONMENT, check=True)


def main():
    """Commit the files, and each version on top of them under a tag."""
    source, repository = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(source, Path(folder) / PLACE)
        git(folder, "init", "--quiet", "--initial-branch", "main")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message", "The core")
        for version, (name, old, new) in VERSIONS.items():
            git(folder, "checkout", "--quiet", "--detach", "main")
            path = Path(folder) / PLACE / name
            if old is None:
                path.unlink()
            else:
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
