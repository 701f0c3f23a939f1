"""Dovecot on free ports, with a certificate of its own and one mailbox."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

from tests.real_monitoring.systems import System, free_port, until

from isthmus.connectors.kit.conformance import certificates

CONFIGURATION = """
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
mail_location = maildir:{home}/mail/%u
mail_uid = dovecot
mail_gid = dovecot
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=dovecot gid=dovecot home={home}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
namespace inbox {{
  inbox = yes
  mailbox Archive {{
    auto = create
  }}
}}
"""


@dataclass
class Dovecot(System):
    """A mail server; its mailbox `desk` is filled by its own tools."""

    port: int = field(default_factory=free_port)
    password: str = "real-dovecot-password"
    user: str = "desk"

    @property
    def ca(self) -> str:
        return (self.home / "localhost.pem").read_text()

    def start(self) -> None:
        certificate, key = certificates.written(self.home, "localhost", certificates.made("localhost"))
        for each in ("run", "state", "mail"):
            (self.home / each).mkdir()
        self.write(
            "dovecot.conf",
            CONFIGURATION.format(
                home=self.home, certificate=certificate, key=key, port=self.port, password=self.password
            ),
        )
        self.own("dovecot")
        self.spawn("dovecot", "-c", str(self.home / "dovecot.conf"), "-F", log="dovecot.out")
        until("Dovecot's control socket", (self.home / "run" / "master.pid").exists)

    def save(self, raw: bytes) -> None:
        """Put a mail into the mailbox, as its delivery does."""
        self._tool("save", "-u", self.user, "-m", "INBOX", said=raw)

    def rebuild(self) -> None:
        """Lose the index: the same mails get other UIDs under another UIDVALIDITY."""
        for each in (self.home / "mail" / self.user).glob("dovecot*"):
            each.unlink()

    def count(self, folder: str) -> int:
        said = self._tool("mailbox", "status", "-u", self.user, "messages", folder)
        return int(said.rpartition("messages=")[2])

    def _tool(self, *words: str, said: bytes = b"") -> str:
        command = ["doveadm", "-c", str(self.home / "dovecot.conf"), *words]
        return subprocess.run(command, input=said, capture_output=True, check=True).stdout.decode()
