"""Icinga 2 on a free port, with a certificate of its own authority."""

from __future__ import annotations

import os
import pwd
import shutil
import ssl
import subprocess
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

from tests.real_monitoring.systems import Checked, call, free_port, until


@dataclass
class Icinga(Checked):
    """Icinga 2 with its API: every host has one service that is checked each second and hard at the second failure."""

    port: int = field(default_factory=free_port)
    user: str = "hub"
    password: str = "real-icinga-password"
    node: str = "real-icinga"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> str:
        return (self.home / "lib" / "ca" / "ca.crt").read_text()

    def start(self) -> None:
        check = self.prepare()
        for each in ("etc", "lib/certs", "lib/ca", "log", "run", "cache", "spool"):
            (self.home / each).mkdir(parents=True, exist_ok=True)
        objects = "".join(
            f'object Host "{host}" {{ address = "192.0.2.{n}"; check_command = "dummy"; vars.dummy_state = 0;'
            f' check_interval = 5s; vars.team = "payments" }}\n'
            f'object Service "{self.check}" {{ host_name = "{host}"; check_command = "from-file"; check_interval = 1s;'
            f' retry_interval = 1s; max_check_attempts = 2; vars.file = "{self.home}/state/{host}" }}\n'
            for n, host in enumerate(self.hosts, 1)
        )
        self.write(
            "etc/icinga2.conf",
            f'const NodeName = "{self.node}"\nconst ZoneName = "{self.node}"\ninclude <itl>\n'
            "object Endpoint NodeName { }\nobject Zone ZoneName { endpoints = [ NodeName ] }\n"
            'object CheckerComponent "checker" { }\n'
            f'object ApiListener "api" {{ bind_host = "127.0.0.1"; bind_port = {self.port} }}\n'
            f'object ApiUser "{self.user}" {{ password = "{self.password}"; permissions = [ "*" ] }}\n'
            f'object CheckCommand "from-file" {{ command = [ "{check}", "$file$" ] }}\n' + objects,
        )
        certs = self.home / "lib" / "certs" / self.node
        self.own("nagios")
        self._icinga("pki", "new-ca")
        self._icinga(
            "pki", "new-cert", "--cn", self.node, "--key", f"{certs}.key", "--csr", f"{self.home}/node.csr"
        )
        self._icinga("pki", "sign-csr", "--csr", f"{self.home}/node.csr", "--cert", f"{certs}.crt")
        shutil.copy(self.home / "lib" / "ca" / "ca.crt", certs.parent / "ca.crt")
        self.own("nagios")
        self.run()

    def run(self) -> None:
        """Start the daemon (again)."""
        self.daemon = self.spawn(
            "icinga2", "daemon", "-c", f"{self.home}/etc/icinga2.conf", *self._places(), log="icinga2.log",
            env={"HOME": str(self.home)},
        )  # fmt: skip
        until("Icinga's API", lambda: self.api("GET", "/v1"))

    def api(self, method: str, path: str, body: Any = None) -> Any:
        credential = b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {credential}", "Accept": "application/json"}
        trust = ssl.create_default_context(cadata=self.ca)
        trust.check_hostname = False
        return call(method, self.url + path, body, headers, context=trust)

    def service(self, host: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GET", f"/v1/objects/services/{host}!{self.check}")
        attributes: dict[str, Any] = found["results"][0]["attrs"]
        return attributes

    def act(self, action: str, host: str, **body: Any) -> Any:
        name = f"{host}!{self.check}"
        asked = {"type": "Service", "filter": "service.__name == n", "filter_vars": {"n": name}, **body}
        return self.api("POST", f"/v1/actions/{action}", asked)

    def _places(self) -> list[str]:
        names = {"ConfigDir": "etc", "DataDir": "lib", "LogDir": "log", "InitRunDir": "run", "CacheDir": "cache",
                 "SpoolDir": "spool"}  # fmt: skip
        found = [f"-D{name}={self.home}/{place}" for name, place in names.items()]
        if os.geteuid() != 0:
            me = pwd.getpwuid(os.geteuid())
            found += [f"-DRunAsUser={me.pw_name}", f"-DRunAsGroup={me.pw_name}"]
        return found

    def _icinga(self, *words: str) -> None:
        done = subprocess.run(
            ["icinga2", *words, *self._places()],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "HOME": str(self.home)},
        )
        assert done.returncode == 0, done.stdout + done.stderr
