"""The conventions that every role and playbook keeps, read off the files."""

import re
from pathlib import Path

import pytest
import yaml
from ansible import module_utils
from conftest import load as load_module

PROJECT = Path(__file__).parent.parent
ROLES = sorted(path for path in (PROJECT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted((PROJECT / "playbooks").glob("*.yml"))
MODULES = sorted([*PROJECT.glob("plugins/modules/*.py"), *PROJECT.glob("roles/*/library/*.py")])
OWN = {path.stem for path in [*MODULES, *PROJECT.glob("plugins/action/*.py")]}
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
def test_a_role_checks_its_settings_first_unless_the_preflight_has(role):
    check = {"ansible.builtin.include_tasks": "preflight.yml", "when": "preflight is not defined"}
    assert load(role / "tasks/main.yml")[0] == {"name": "Check the settings"} | check


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


def test_site_shows_the_tiers_with_their_hosts_and_roles():
    entries = load(PROJECT / "site.yml")
    assert all("ansible.builtin.import_playbook" in entry or {"hosts", "roles"} <= entry.keys() for entry in entries)
    assert not [entry for entry in entries if "tasks" in entry]


def test_the_collections_required_are_those_that_are_used():
    text = "".join(
        path.read_text() for folder in ("roles", "playbooks", "twin") for path in (PROJECT / folder).rglob("*.yml")
    )
    used = {f"{one[0]}.{one[1]}" for one in re.findall(r"^ +([a-z]+)\.([a-z]+)\.[a-z_0-9]+:$", text, re.MULTILINE)}
    required = {one["name"] for one in load(PROJECT / "requirements.yml")["collections"]}
    assert used - {"ansible.builtin"} == required


def test_every_role_has_a_place_in_the_site_with_a_tag_of_its_name():
    plays = [play for path in [PROJECT / "site.yml", *PLAYBOOKS] for play in load(path)]
    placed = [role for play in plays for role in play.get("roles", [])]
    assert {role["role"] for role in placed} == {role.name for role in ROLES}
    assert all(role["tags"] == role["role"] for role in placed)


def test_the_picture_in_the_readme_is_fresh(playbook):
    done = playbook("playbooks/topology.yml", "--check", "--diff")
    assert done.returncode == 0, done.stdout
    assert "changed=0" in done.stdout, "Draw it again: ansible-playbook playbooks/topology.yml"


SECRET = re.compile(r"(certificate|deploy_key|keyfile|password|secret|token)$")
DISCREET = {"assert", "fail", "import_tasks", "include_tasks"}
"""Modules that tell of their arguments nothing but a message that is written for it."""
HARMLESS = re.compile(r"\w+ \| (length|hash)|\w+\.keys\(\)|if \w+ (else|%})")
"""Uses of a variable that do not tell its value."""


def unmasked(options, where):
    """Yield the options that bear the name of a secret, nested ones included, and lack no_log."""
    for name, option in options.items():
        if option.get("no_log") is True:
            continue
        if SECRET.search(name) and not option.get("options"):
            yield f"{where}.{name}"
        yield from unmasked(option.get("options") or {}, f"{where}.{name}")


@each_role
def test_every_secret_of_a_role_is_declared_as_one(role):
    assert not [*unmasked(options(role), role.name)]


class Declared(Exception):
    """A module begins to run, with this argument_spec."""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_secret_of_a_module_is_declared_as_one(path, monkeypatch):
    def declare(argument_spec, **_):
        raise Declared(argument_spec)

    monkeypatch.setattr(module_utils, "__path__", [*module_utils.__path__, str(path.parents[1] / "module_utils")])
    module = load_module(path)
    monkeypatch.setattr(module, "AnsibleModule", declare)
    with pytest.raises(Declared) as declared:
        module.main()
    assert not [*unmasked(declared.value.args[0], path.stem)]


def names_in(text):
    """Return the names of variables that a text may use."""
    return set(re.findall(r"\b[a-z_][a-z0-9_]*\b", text))


def secrets_of(role):
    """Return the variables of a role that hold secrets: those that the specs mark, and those that are made of them."""
    found = {name for name, option in options(role).items() if "'no_log': True" in str(option)}
    internal = [item for path in (role / "vars").glob("*.yml") for item in load(path).items()]
    made = {name: names_in(HARMLESS.sub("", str(value))) for name, value in internal}
    while more := {name for name, used in made.items() if used & found} - found:
        found |= more
    return found


def tasks_in(tasks):
    """Yield the tasks of a file, those in blocks included."""
    for task in tasks:
        for part in ("block", "rescue", "always"):
            yield from tasks_in(task.get(part, []))
        if "block" not in task:
            yield task


@each_role
def test_a_task_that_is_given_a_secret_does_not_tell_it(role):
    secrets = secrets_of(role)
    templates = {file.stem: file.read_text() for file in (role / "templates").rglob("*.j2")}
    telling = []
    for path in (role / "tasks").glob("*.yml"):
        for task in tasks_in(load(path)):
            module = next(key for key in task if "." in key or key in OWN)
            text = str([task[module], task.get("loop"), task.get("vars"), task.get("environment")])
            if ".j2" in text:
                text += "".join(template for name, template in templates.items() if name in text)
            if module.rpartition(".")[2] in DISCREET | OWN or task.get("no_log"):
                continue
            if used := names_in(HARMLESS.sub("", text)) & secrets:
                telling.append(f"{path.name}: {task['name']} uses {sorted(used)}")
    assert not telling, "give it no_log, or the option of the own module"
