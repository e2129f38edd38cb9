"""The linear strategy, carried by Mitogen where Mitogen is installed, with typed extra variables.

The types are ours, for Ansible itself makes a text of each value that -e gives. So is the use of Jinja's bytecode
cache, for Ansible compiles each text anew in each worker: a fifth of what a run costs the control machine.
"""

import gc
from contextlib import suppress
from functools import cache
from pathlib import Path

from ansible import constants
from ansible.module_utils.common.validation import check_type_bool, check_type_float, check_type_int
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.strategy.linear import StrategyModule as LinearStrategy
from ansible.release import __version__ as ansible_version
from jinja2 import FileSystemBytecodeCache
from jinja2.environment import TemplateExpression

try:
    from ansible_mitogen.strategy import StrategyMixin
except ImportError:
    StrategyMixin = object

try:
    from ansible._internal._templating import _jinja_bits as jinja_bits
except ImportError:
    jinja_bits = None

DOCUMENTATION = """
name: fast_linear
short_description: The linear strategy, over Mitogen where it is installed
description:
  - Runs tasks as R(ansible.builtin.linear,ansible_collections.ansible.builtin.linear_strategy) does.
  - Where the Python package C(mitogen) can be imported, modules run through one persistent interpreter for each host.
  - C(-e name=value) gives a role's variable the type that the role's C(meta/argument_specs.yml) says, where Ansible
    itself makes a text of each value, so that V(false) would be true. What is of another type is left as it is.
  - Keeps compiled templates and expressions in the user's bytecode cache of Jinja, a folder of the user's in C(/tmp).
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


class CompiledTemplates(FileSystemBytecodeCache):
    """Jinja's cache of compiled templates, for texts that come from no file, and for expressions."""

    def __init__(self, internals):
        """Look up in Ansible's module what code depends on besides its source."""
        super().__init__()
        self.overrides = internals._TEMPLATE_OVERRIDE_FIELD_NAMES
        self.context = internals._TemplateCompileContext
        self.config = internals._TemplateConfig
        self.install(internals.AnsibleEnvironment)

    def bucket(self, environment, kind, source):
        """Return what the cache has of a text of a kind."""
        context = self.context.current(optional=True)
        name = (
            ansible_version,
            kind,
            [getattr(environment, name) for name in self.overrides],
            context and context.escape_backslashes,
            self.config.allow_embedded_templates,
            str(source),
        )
        return self.get_bucket(environment, repr(name), None, str(source))

    def keep(self, bucket):
        """Write a code down, unless the disk is full."""
        with suppress(OSError):
            self.set_bucket(bucket)

    def install(self, environment):
        """Have all environments of this class take their code from here."""
        compile_source, compile_expression = environment.compile, environment.compile_expression
        compiled = []

        def compile(self_, source, *args, **kwargs):
            if args or kwargs or not isinstance(source, str):
                compiled[:] = [compile_source(self_, source, *args, **kwargs)]
                return compiled[0]
            bucket = self.bucket(self_, "template", source)
            if bucket.code is None:
                bucket.code = compile_source(self_, source)
                self.keep(bucket)
            return bucket.code

        def expression(self_, source, undefined_to_none=True):
            bucket = self.bucket(self_, "expression", source)
            if bucket.code is None:
                result = compile_expression(self_, source, undefined_to_none)
                bucket.code = compiled.pop()
                self.keep(bucket)
                return result
            template = self_.template_class.from_code(self_, bucket.code, self_.make_globals(None))
            return TemplateExpression(template, undefined_to_none)

        environment.compile, environment.compile_expression = compile, expression


# Without it, all is as Ansible has it: in another version of Ansible, or where /tmp is nothing to rely on.
with suppress(AttributeError, OSError, RuntimeError):
    CompiledTemplates(jinja_bits)


class StrategyModule(StrategyMixin, LinearStrategy):
    """See the documentation above."""

    def run(self, iterator, play_context):
        """Run a play."""
        extra = self._variable_manager.extra_vars
        extra.update(dict(typed(extra)))
        # The workers are forks, in which nothing of what is there now becomes garbage.
        gc.freeze()
        return super().run(iterator, play_context)
