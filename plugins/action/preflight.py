"""Check all that the site's variables say, for every host and role, before any host is changed."""

from __future__ import annotations

import contextlib
import difflib
import ipaddress
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

DOCUMENTATION = """
module: preflight
short_description: Check all that the site's variables say, before any host is changed
description:
  - Runs on the control machine alone. Reads which roles the site's playbooks give to the host, and checks the host's
    variables against the C(meta/argument_specs.yml) of these roles, for required ones, types, choices and names that no
    role knows. A text is no boolean and no number, whatever it says, for in a condition it is true.
  - Checks the entries of the service catalogue, that the inventory has the groups that it names, that no two services
    of the host share a port, and that the host's C(address) is one of IPv4, which no other host has.
  - Finds all mistakes at once, and leaves it to the caller to fail.
options:
  playbook:
    description: The playbook that builds the site. Its plays, and those of playbooks that it imports, apply roles.
    type: path
    required: true
  services:
    description: The service catalogue.
    type: dict
    required: true
  service_options:
    description: What an entry of the catalogue can say, as in an argument spec.
    type: dict
    required: true
author: the maintainers
"""

RETURN = """
roles:
  description: The roles of the host, in the order in which they run.
  type: list
  elements: str
  returned: always
mistakes:
  description: What is wrong, a sentence each. Values of secrets are left out.
  type: list
  elements: str
  returned: always
"""

ARGUMENTS = {"playbook": "path", "services": "dict", "service_options": "dict"}
IMPORT = "ansible.builtin.import_playbook"


def suggestion(name, names):
    """Return a sentence with the known name that is most like the given one, or nothing."""
    close = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def texts(options, values, path="{}"):
    """Yield the path of each value that is a text where a boolean or a number is wanted, with the wanted type."""
    for name in options.keys() & values.keys():
        option, value, here = options[name], values[name], path.format(name)
        if option.get("type") in ("bool", "float", "int") and isinstance(value, str):
            yield here, option["type"]
        for below in value if isinstance(value, list) else [value]:
            if isinstance(below, dict):
                yield from texts(option.get("options", {}), below, f"{here}.{{}}")


def by_entry(options, values):
    """Return both with the entries of a list of dictionaries as options of their own, so that messages name them."""
    entries = {
        f"{name}['{entry.get('name', number)}']": (name, entry)
        for name, option in options.items()
        if option.get("elements") == "dict" and isinstance(values.get(name), list)
        for number, entry in enumerate(values[name], 1)
        if isinstance(entry, dict)
    }
    lists = {name: {"type": "list", "elements": "dict"} for name, _ in entries.values()}
    return (
        options
        | lists
        | {where: options[name] | {"type": "dict", "elements": None} for where, (name, _) in entries.items()},
        values | {where: entry for where, (_, entry) in entries.items()},
    )


class ActionModule(ActionBase):
    """See the documentation above."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """Return the host's roles, and the mistakes in what the variables say of it."""
        result = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {name: {"required": True, "type": kind} for name, kind in ARGUMENTS.items()}
        )
        playbook = Path(options["playbook"])
        host = task_vars["inventory_hostname"]
        specs = {
            path.parts[-3]: self.load(path)["argument_specs"]["main"]["options"]
            for path in playbook.parent.glob("roles/*/meta/argument_specs.yml")
        }
        roles = self.roles_of(host, playbook, task_vars)

        mistakes = [*self.catalogue_mistakes(options["services"], options["service_options"], task_vars["groups"])]
        mistakes += self.port_mistakes(host, options["services"], task_vars["group_names"])
        mistakes += self.address_mistakes(host, task_vars)
        mistakes += self.name_mistakes(task_vars, specs)
        for role in roles:
            mistakes += self.value_mistakes(task_vars, role, specs[role])
        return result | {"changed": False, "roles": roles, "mistakes": mistakes}

    def load(self, path):
        """Return the content of a YAML file."""
        return self._loader.load_from_file(str(path))

    def roles_of(self, host, playbook, task_vars):
        """Return the roles that the playbook and those that it imports apply to the host, in their order."""
        hosts_of = lookup_loader.get("ansible.builtin.inventory_hostnames", loader=self._loader, templar=self._templar)
        plays = [
            play
            for entry in self.load(playbook)
            for play in (self.load(playbook.parent / entry[IMPORT]) if IMPORT in entry else [entry])
            if host in hosts_of.run([play["hosts"]], variables=task_vars)
        ]
        return [role["role"] for play in plays for role in play.get("roles", [])]

    @staticmethod
    def catalogue_mistakes(services, options, groups):
        """Yield what the catalogue says wrongly, or of groups that the inventory does not have."""
        entries = {f"services.{name}": service for name, service in services.items()}
        spec = dict.fromkeys(entries, {"type": "dict", "options": options})
        for message in ArgumentSpecValidator(spec).validate(entries).error_messages:
            yield f"The catalogue says: {message}"
        for where, service in entries.items():
            if "protocol" in service.get("probe", {}) and "port" not in service:
                yield f"{where} has a probe and no port that it could ask."
            for group in (service.get("group"), *service.get("clients", [])):
                if group not in groups and group != "anywhere":
                    yield (
                        f"{where} names the group {group}, which the inventory lacks."
                        f"{suggestion(str(group), groups)} An empty group will do."
                    )

    @staticmethod
    def port_mistakes(host, services, groups):
        """Yield the ports at which two units of the host would listen."""
        units = {}
        for name, service in services.items():
            if "port" in service and service.get("group") in (*groups, "all"):
                units.setdefault(service["port"], {}).setdefault(service.get("unit"), name)
        for port, names in units.items():
            if len(names) > 1:
                yield (
                    f"{host} runs {' and '.join(names.values())} on the same port, {port}: take one of them to another"
                    " host, or give it another port in the catalogue."
                )

    def address_mistakes(self, host, variables):
        """Yield what is wrong with the address at which the other hosts reach this one."""
        try:
            address = self._templar.template(variables["address"])
            ipaddress.IPv4Address(address)
        except KeyError:
            yield f"address of {host} is missing: it is where the other hosts reach it, in a private network of IPv4."
        except (AnsibleError, ValueError):
            yield (
                f"address of {host} is {variables['address']}, and must be one of IPv4: the hosts reach each other in a"
                " private network of IPv4. Visitors may come over IPv6."
            )
        # Once is enough, as it looks at all hosts.
        if host == variables["ansible_play_hosts_all"][0]:
            yield from self.shared_addresses(variables)

    def shared_addresses(self, variables):
        """Yield the addresses that several hosts have."""
        hosts = {}
        for host in variables["groups"]["all"]:
            with contextlib.suppress(AnsibleError, KeyError):
                hosts.setdefault(variables["hostvars"][host]["address"], []).append(host)
        for address, names in hosts.items():
            if len(names) > 1:
                yield f"address is {address} for {', '.join(names)}: each host needs one of its own."

    @staticmethod
    def name_mistakes(variables, specs):
        """Yield the variables that bear a role's prefix and are none of the role's."""
        for role, options in specs.items():
            for name in variables:
                if name.startswith(f"{role}_") and name not in options:
                    yield f"{name} is not a variable of the role {role}.{suggestion(name, options)}"

    def reasons(self, value):
        """Yield why a value can't be templated, for each of its parts."""
        if isinstance(value, dict | list):
            for part in value.values() if isinstance(value, dict) else value:
                yield from self.reasons(part)
            return
        try:
            self._templar.template(value)
        except AnsibleError as error:
            yield error.message.strip()

    def value_mistakes(self, variables, role, options):
        """Yield what is missing from the variables of a role, or has a wrong type or value."""
        values = {}
        for name in options:
            try:
                if name in variables:
                    values[name] = self._templar.template(variables[name])
            except AnsibleError as error:
                for reason in list(self.reasons(variables[name])) or [error.message.strip()]:
                    yield f"{name}, a variable of the role {role}, has no value: {reason}"
                options = {key: option for key, option in options.items() if key != name}
        options, values = by_entry(options, values)
        checked = ArgumentSpecValidator(options).validate(values)
        for message in remove_values(checked.error_messages, checked._no_log_values):
            yield f"The role {role} says: {message}"
        if not checked.error_messages:
            for path, kind in texts(options, values):
                yield (
                    f"{path}, a variable of the role {role}, is a text and must be of the type {kind}: write it without"
                    """ quotes in YAML, and on the command line as -e '{"name": value}'."""
                )
