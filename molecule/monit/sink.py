"""An SMTP server that keeps every mail as a file."""

import itertools
import sys
import time
from pathlib import Path

from aiosmtpd.controller import Controller

MAILS = Path("/var/lib/sink")
NUMBERS = itertools.count(len(list(MAILS.iterdir())))


class Keep:
    """What becomes of a mail."""

    async def handle_DATA(self, server, session, envelope):
        """Keep it."""
        recipients = ", ".join(envelope.rcpt_tos)
        (MAILS / f"{next(NUMBERS):04}").write_bytes(f"Delivered-To: {recipients}\r\n".encode() + envelope.content)
        return "250 kept"


Controller(Keep(), hostname=sys.argv[1], port=25).start()
while True:
    time.sleep(60)
