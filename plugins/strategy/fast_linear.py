"""The linear strategy, carried by Mitogen where Mitogen is installed."""

from ansible.plugins.strategy.linear import StrategyModule as LinearStrategy

try:
    from ansible_mitogen.strategy import StrategyMixin
except ImportError:
    StrategyModule = LinearStrategy
else:

    class StrategyModule(StrategyMixin, LinearStrategy):
        """Ansible's linear strategy over Mitogen's connections."""


DOCUMENTATION = """
name: fast_linear
short_description: The linear strategy, over Mitogen where it is installed
description:
  - Runs tasks as R(ansible.builtin.linear,ansible_collections.ansible.builtin.linear_strategy) does.
  - Where the Python package C(mitogen) can be imported, modules run through one persistent interpreter for each host.
author: the maintainers
"""
