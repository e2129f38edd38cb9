"""A relay that keeps what it gets, a line of JSON for each mail, and refuses or delays it while /run/sink/mood says so.

Port 25 asks for nothing. Port 587 wants TLS and its user's password; 588 too, with a certificate for another name.
"""

import asyncio
import json
import ssl
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult

LOGIN = json.loads(Path("/etc/sink/login.json").read_text())
MAILS = Path("/var/lib/sink/mails")
MOOD = Path("/run/sink/mood")
MOODS = {"refuse": "554 5.7.1 Relay access denied", "delay": "451 4.7.1 Come back later"}


class Keeper:
    """What happens to the mail of one port."""

    def __init__(self, port):
        self.port = port

    async def handle_RCPT(self, server, session, envelope, address, options):
        """Take a recipient, or not, as the mood is."""
        if MOOD.exists():
            return MOODS[MOOD.read_text().strip()]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        """Keep a mail."""
        mail = {
            "port": self.port,
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "user": session.auth_data,
            "text": envelope.content.decode(errors="replace").replace("\r\n", "\n"),
        }
        with MAILS.open("a") as mails:
            mails.write(json.dumps(mail) + "\n")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, login):
    """Let the one user in, and keep his name."""
    if [login.login.decode(), login.password.decode()] != [LOGIN["user"], LOGIN["password"]]:
        return AuthResult(success=False, handled=False)
    return AuthResult(success=True, auth_data=LOGIN["user"])


async def main():
    """Listen until the end."""
    loop = asyncio.get_running_loop()
    listening = []
    for port, certificate in ((25, None), (587, "right"), (588, "wrong")):
        options = {}
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(f"/etc/sink/{certificate}.pem")
            options = {
                "tls_context": context,
                "require_starttls": True,
                "auth_required": True,
                "authenticator": authenticate,
            }
        listening.append(
            await loop.create_server(lambda p=port, o=options: SMTP(Keeper(p), **o), LOGIN["address"], port)
        )
    await asyncio.gather(*(server.serve_forever() for server in listening))


asyncio.run(main())
