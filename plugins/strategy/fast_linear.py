"""The linear strategy, carried by Mitogen where Mitogen is installed, with typed extra variables.

The types are ours, for Ansible itself makes a text of each value that -e gives.
"""

from functools import cache
from pathlib import Path

from ansible import constants
from ansible.module_utils.common.validation import check_type_bool, check_type_float, check_type_int
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.strategy.linear import StrategyModule as LinearStrategy

try:
    from ansible_mitogen.strategy import StrategyMixin
except ImportError:
    StrategyMixin = object

DOCUMENTATION = """
name: fast_linear
short_description: The linear strategy, over Mitogen where it is installed
description:
  - Runs tasks as R(ansible.builtin.linear,ansible_collections.ansible.builtin.linear_strategy) does.
  - Where the Python package C(mitogen) can be imported, modules run through one persistent interpreter for each host.
  - C(-e name=value) gives a role's variable the type that the role's C(meta/argument_specs.yml) says, where Ansible
    itself makes a text of each value, so that V(false) would be true. What is of another type is left as it is.
author: the maintainers
"""

TYPES = {"bool": check_type_bool, "float": check_type_float, "int": check_type_int}


@cache
def types():
    """Return how to make each role's variable that is no text, by its name."""
    loader = DataLoader()
    paths = [path for folder in constants.DEFAULT_ROLES_PATH for path in Path(folder).glob("*/meta/argument_specs.yml")]
    specs = [loader.load_from_file(str(path))["argument_specs"]["main"].get("options", {}) for path in paths]
    return {name: TYPES[option["type"]] for spec in specs for name, option in spec.items() if option["type"] in TYPES}


def typed(variables):
    """Yield the texts that stand for a boolean or a number, as such."""
    for name in types().keys() & variables.keys():
        if isinstance(variables[name], str):
            try:
                yield name, types()[name](variables[name])
            except TypeError:
                continue


class StrategyModule(StrategyMixin, LinearStrategy):
    """See the documentation above."""

    def run(self, iterator, play_context):
        """Run a play."""
        extra = self._variable_manager.extra_vars
        extra.update(dict(typed(extra)))
        return super().run(iterator, play_context)
