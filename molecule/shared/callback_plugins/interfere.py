"""Interfere with a run after a given task: have a command run, or kill it, as if the control machine had lost power."""

import os
import signal
import subprocess

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: interfere
type: aggregate
short_description: Interfere with a run after the task that the environment variable INTERFERE_AFTER names
description:
  - The tests' way to break a run between a changed file and what should follow it.
  - Where the environment variable INTERFERE_COMMAND is set, that command runs instead, and the run goes on.
"""


class CallbackModule(CallbackBase):
    """See the documentation above."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "interfere"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result):
        """Do it once the task is done on the first host."""
        if result.task.name != os.environ["INTERFERE_AFTER"]:
            return
        if "INTERFERE_COMMAND" in os.environ:
            subprocess.run(os.environ["INTERFERE_COMMAND"], shell=True, check=True)
        else:
            os.kill(os.getpid(), signal.SIGKILL)
