#!/usr/bin/python3
"""Mail one notification of Nagios over SMTP. The arguments are NAME=VALUE, as the commands in objects.cfg give them."""

import smtplib
import sys
import time
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

ATTEMPTS = 4
PAUSE_SECONDS = 4


def moment(seconds):
    """Return a moment, given in seconds since the epoch, for a person to read."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(int(seconds)))


def is_untold(about):
    """Whether a warning has just begun, or ends that was never mailed: its second notification is the first mail."""
    if about["type"] == "RECOVERY":
        return about["was"] == "WARNING" and about["number"] == "2"
    return about["type"] == "PROBLEM" and about["state"] == "WARNING" and about["number"] == "1"


def compose(about):
    """Return the mail, of which the first line says all that fits there."""
    what = f"{about['service']} on {about['host']}" if about.get("service") else about["host"]
    recovered = about["type"] == "RECOVERY"
    headline = f"OK again: {what}" if recovered else f"{about['state']}: {what}"
    if about["type"] not in ("PROBLEM", "RECOVERY"):
        headline = f"{about['type'].capitalize()} of {headline}"
    elif about["state"] == about["was"]:
        reminder = int(about["number"]) - (2 if about["state"] == "WARNING" else 1)
        headline += f" (reminder {reminder})" if reminder > 0 else ""

    lines = [
        ("Host", f"{about['host']} ({about['address']})"),
        ("Service", about.get("service")),
        ("Expected", about.get("expected")),
        ("Seen", about["output"]),
        # Nagios remembers when it last saw it well, which is a check before the fault.
        (
            "Since",
            "" if recovered else f"{moment(about['well'])}, when it was last well" if int(about["well"]) else "always",
        ),
        ("Sent", moment(about["sent"])),
        ("Look at", "" if recovered else about.get("advice")),
        ("Comment", about.get("comment") and f"{about['comment']} ({about.get('author')})"),
    ]
    mail = EmailMessage()
    mail["Subject"] = headline
    mail["From"] = about["sender"]
    mail["To"] = about["recipient"]
    mail["Date"] = formatdate(localtime=True)
    mail["Message-ID"] = make_msgid(domain=about["sender"].rpartition("@")[2] or "localhost")
    # So that nobody's holiday answers.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("".join(f"{name + ':':<10}{value}\n" for name, value in lines if value))
    return mail


def send(mail, smtp):
    """Hand the mail over. The server may be starting just now: try for some seconds."""
    host, _, port = smtp.rpartition(":")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with smtplib.SMTP(host, int(port), timeout=5) as server:
                server.send_message(mail)
            return
        except (OSError, smtplib.SMTPException):
            if attempt == ATTEMPTS:
                raise
            time.sleep(PAUSE_SECONDS)


def main():
    """Compose and send."""
    about = dict(argument.split("=", 1) for argument in sys.argv[1:])
    if not is_untold(about):
        send(compose(about), about["smtp"])


if __name__ == "__main__":
    main()
