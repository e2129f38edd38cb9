"""The conventions that every role and playbook keeps, read off the files."""

import re
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parent.parent
ROLES = sorted(path for path in (PROJECT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted((PROJECT / "playbooks").glob("*.yml"))
FORBIDDEN = {
    "ignore_errors": r"ignore_errors: *(true|yes)",
    "the shell module": r"ansible\.builtin\.shell",
    "apt-key": r"apt_key",
    "another host's business": r"groups\[|groups\.|hostvars",
    "a tag inside a role": r"^\s*tags:",
    "a handler": r"^\s*notify:",
    "a linter's skip": r"noqa",
}

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)


def load(path):
    """Return the content of a YAML file, an empty dict for an empty one."""
    return yaml.safe_load(path.read_text()) or {}


def options(role):
    """Return what the role's argument_specs.yml declares."""
    return load(role / "meta/argument_specs.yml")["argument_specs"]["main"].get("options", {})


def typed(option, name):
    """Yield the name of each option, nested ones included, that lacks a type or a description."""
    if "type" not in option or "description" not in option or "default" in option:
        yield name
    for key, below in option.get("options", {}).items():
        yield from typed(below, f"{name}.{key}")


@each_role
def test_a_role_has_all_its_parts(role):
    for part in ("README.md", "meta/main.yml", "meta/argument_specs.yml", "tasks/main.yml", "tasks/preflight.yml"):
        assert (role / part).is_file(), f"roles/{role.name} has no {part}"
    assert not (role / "handlers").exists(), "the daemon module does what handlers do"


@each_role
def test_a_role_is_proved(role):
    scenario = PROJECT / "molecule" / role.name
    tests = (scenario / f"test_{role.name}.py").read_text()
    assert (scenario / "molecule.yml").is_file()
    assert re.search(r"^def test_", tests, re.MULTILINE), f"molecule/{role.name} proves nothing"


@each_role
def test_defaults_and_specs_say_the_same(role):
    specs = options(role)
    defaults = load(role / "defaults/main.yml") if (role / "defaults/main.yml").exists() else {}
    optional = {name for name, option in specs.items() if not option.get("required")}
    unset = {name for name in optional if name not in defaults}
    assert set(defaults) <= optional, "a default without a spec, or of a required variable"
    assert not unset, "an optional variable without a default"
    assert all(name.startswith(f"{role.name}_") for name in specs)
    assert not [bad for name, option in specs.items() for bad in typed(option, name)]


@each_role
def test_internal_variables_are_marked(role):
    for path in (role / "vars").glob("*.yml"):
        assert all(name.startswith(f"__{role.name}_") for name in load(path)), path
    for path in (role / "tasks").glob("*.yml"):
        for name in re.findall(r"^\s*register: (\S+)", path.read_text(), re.MULTILINE):
            assert name.startswith(f"__{role.name}_"), f"{path}: {name}"


@each_role
def test_nothing_forbidden_is_used(role):
    for path in (role / "tasks").glob("*.yml"):
        text = path.read_text()
        found = [what for what, pattern in FORBIDDEN.items() if re.search(pattern, text, re.MULTILINE)]
        assert not found, f"{path}: {found}"
        assert len(text.splitlines()) <= 100, f"{path} is long: split it by phase"


@each_role
def test_templates_say_who_manages_them(role):
    for path in (role / "templates").rglob("*.j2"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#!")]
        assert lines[0].startswith("{{ ansible_managed | comment"), path


@each_role
def test_the_readme_has_an_example_that_the_specs_know(role):
    examples = re.findall(r"```yaml\n(.*?)```", (role / "README.md").read_text(), re.DOTALL)
    used = {name for example in examples for name in re.findall(rf"\b{role.name}_\w+", example)}
    assert examples
    assert all(yaml.safe_load(example) for example in examples)
    assert used <= set(options(role)), used - set(options(role))


def test_site_is_a_list_of_imports():
    assert all(list(entry) == ["name", "ansible.builtin.import_playbook"] for entry in load(PROJECT / "site.yml"))


def test_every_role_has_a_place_in_the_site_with_a_tag_of_its_name():
    plays = [play for path in PLAYBOOKS for play in load(path)]
    placed = [role for play in plays for role in play.get("roles", [])]
    assert {role["role"] for role in placed} == {role.name for role in ROLES}
    assert all(role["tags"] == role["role"] for role in placed)


def test_the_picture_in_the_readme_is_fresh(playbook):
    done = playbook("playbooks/topology.yml", "--check", "--diff")
    assert done.returncode == 0, done.stdout
    assert "changed=0" in done.stdout, "Draw it again: ansible-playbook playbooks/topology.yml"
