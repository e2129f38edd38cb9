"""Take mail for anybody, and show it: SMTP on port 25, the mails on port 80.

GET /               the mails, for people
GET /mails          the mails as JSON, the oldest first
POST /refuse/60     refuse mail for 60 seconds, as a relay in trouble does
"""

import html
import json
import time
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller

MAILS = []
refuse_until = 0.0


def shown(mail):
    """Return a mail as HTML: a line that unfolds."""
    at = time.strftime("%H:%M:%S UTC", time.gmtime(mail["received"]))
    sender, subject, text = (html.escape(mail[key]) for key in ("from", "subject", "text"))
    return f"<details><summary>{at}, {sender}: <b>{subject}</b></summary><pre>{text}</pre></details>"


class Inbox:
    """Keeps the mails."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        """Accept a recipient, unless mail is refused just now."""
        if time.monotonic() < refuse_until:
            return "451 4.3.0 Try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        """Keep a mail, with the time at which it came and the address that brought it."""
        message = message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=policy.default)
        body = message.get_body(("plain", "html"))
        MAILS.append(
            {
                "received": time.time(),
                "by": session.peer[0],
                "sender": envelope.mail_from,
                "recipients": envelope.rcpt_tos,
                "from": str(message["From"]),
                "to": str(message["To"]),
                "subject": str(message["Subject"]),
                "text": body.get_content() if body else "",
            }
        )
        return "250 OK"


class Pages(BaseHTTPRequestHandler):
    """Shows the mails."""

    def answer(self, kind, text):
        """Send a page."""
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        """Answer with the mails."""
        if self.path == "/mails":
            self.answer("application/json", json.dumps(MAILS))
            return
        self.answer("text/html", "<!DOCTYPE html><title>Mails of the twin</title>" + "".join(map(shown, MAILS[::-1])))

    def do_POST(self):
        """Refuse mail for a while."""
        global refuse_until
        refuse_until = time.monotonic() + float(self.path.removeprefix("/refuse/"))
        self.answer("text/plain", "")

    def log_message(self, *arguments):
        """Log nothing."""


if __name__ == "__main__":
    Controller(Inbox(), hostname="0.0.0.0", port=25).start()
    ThreadingHTTPServer(("0.0.0.0", 80), Pages).serve_forever()
