"""A mail server that forwards nothing: each mail becomes a line of JSON in /var/lib/sink/mails."""

import json
import signal
import time
from email import message_from_bytes, policy
from pathlib import Path

from aiosmtpd.controller import Controller

MAILS = Path("/var/lib/sink/mails")


class Handler:
    """Keep what arrives."""

    async def handle_DATA(self, server, session, envelope):  # the name is aiosmtpd's
        """Write the mail down."""
        mail = message_from_bytes(envelope.content, policy=policy.default)
        kept = {
            "time": time.time(),
            "sender": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": mail["Subject"],
            "body": mail.get_content().replace("\r\n", "\n"),
        }
        with MAILS.open("a") as file:
            file.write(json.dumps(kept) + "\n")
        return "250 OK"


MAILS.parent.mkdir(parents=True, exist_ok=True)
MAILS.touch()
Controller(Handler(), hostname="127.0.0.1", port=25).start()
signal.pause()
