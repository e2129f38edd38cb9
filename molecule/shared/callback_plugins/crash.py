"""Kill the run after a given task, as if the control machine had lost power."""

import os
import signal

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: crash
type: aggregate
short_description: Kill the run after the task that the environment variable CRASH_AFTER names
description: The tests' way to break a run between a changed file and what should follow it.
"""


class CallbackModule(CallbackBase):
    """See the documentation above."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "crash"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result):
        """Kill the process group's leader once the task is done on the first host."""
        if result.task.name == os.environ["CRASH_AFTER"]:
            os.kill(os.getpid(), signal.SIGKILL)
