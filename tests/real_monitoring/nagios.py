"""Nagios 4 with the shipped script as notification command and as agent."""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.real_monitoring.systems import Checked, free_port, until

from isthmus.connectors.nagios import isthmus_nagios


@dataclass
class Nagios(Checked):
    """Nagios 4 with the shipped script as notification command and as agent."""

    hook: str = ""
    secret: str = "real-nagios-secret"
    agent_port: int = field(default_factory=free_port)
    check: str = "Queue depth"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.agent_port}"

    def start(self) -> None:
        check = self.prepare()
        for each in ("rw", "spool", "archives"):
            (self.home / each).mkdir(exist_ok=True)
        script = Path(isthmus_nagios.__file__)
        shutil.copy(script, self.home / script.name)
        self.write("secret", self.secret)
        self.write(
            "isthmus.json",
            json.dumps(
                {
                    "hub": self.hook, "secret_file": f"{self.home}/secret", "status_file": f"{self.home}/status.dat",
                    "command_file": f"{self.home}/rw/nagios.cmd", "listen": f"127.0.0.1:{self.agent_port}",
                }
            ),
        )  # fmt: skip
        self.write("objects.cfg", self._objects(check, f"{_python()} {self.home}/{script.name}"))
        account = "nagios" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        group = grp.getgrgid(pwd.getpwnam(account).pw_gid).gr_name
        places = {
            "cfg_file": "objects.cfg", "log_file": "nagios.log", "object_cache_file": "objects.cache",
            "status_file": "status.dat", "temp_file": "nagios.tmp", "lock_file": "nagios.lock",
            "command_file": "rw/nagios.cmd", "check_result_path": "spool", "state_retention_file": "retention.dat",
            "log_archive_path": "archives", "temp_path": "", "query_socket": "rw/nagios.qh",
        }  # fmt: skip
        settings = {
            "interval_length": "1", "enable_environment_macros": "1", "enable_notifications": "1",
            "check_external_commands": "1", "status_update_interval": "2", "nagios_user": account,
            "nagios_group": group,
        }  # fmt: skip
        text = "".join(f"{name}={self.home}/{place}\n" for name, place in places.items())
        self.write("nagios.cfg", text + "".join(f"{name}={value}\n" for name, value in settings.items()))
        self.own(account)
        self.spawn("nagios4", f"{self.home}/nagios.cfg", log="nagios.out")
        self.start_agent()
        until("Nagios' status", lambda: self.home.joinpath("status.dat").stat().st_size > 0)
        until("Nagios' command pipe", lambda: self.home.joinpath("rw/nagios.cmd").is_fifo())

    def start_agent(self) -> None:
        self.agent = self.spawn(
            _python(), f"{self.home}/isthmus_nagios.py", "agent", "--config", f"{self.home}/isthmus.json",
            log="agent.log",
        )  # fmt: skip

    def tell(self, command: str) -> None:
        """Write an external command as Nagios' own pages do."""
        with (self.home / "rw" / "nagios.cmd").open("w") as pipe:
            pipe.write(f"[{int(time.time())}] {command}\n")

    def status(self, host: str) -> dict[str, str]:
        """Return the block of a service in Nagios' status file."""
        for name, held in isthmus_nagios.blocks((self.home / "status.dat").read_text()):
            if name == "servicestatus" and held["host_name"] == host:
                return held
        raise FileNotFoundError(host)

    def downtimes(self) -> list[dict[str, str]]:
        found = isthmus_nagios.blocks((self.home / "status.dat").read_text())
        return [held for name, held in found if name.endswith("downtime")]

    def _objects(self, check: Path, script: str) -> str:
        days = "".join(
            f" {day} 00:00-24:00\n"
            for day in ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
        )
        text = (
            "define command {\n command_name from-file\n"
            f" command_line {check} {self.home}/state/$HOSTNAME$\n}}\n"
            "define command {\n command_name host-ok\n command_line /bin/true\n}\n"
            "define command {\n command_name isthmus\n"
            f" command_line {script} notify --config {self.home}/isthmus.json\n}}\n"
            f"define timeperiod {{\n timeperiod_name always\n alias always\n{days}}}\n"
            "define contact {\n contact_name isthmus\n host_notification_period always\n"
            " service_notification_period always\n host_notification_options d,u,r,s\n"
            " service_notification_options w,u,c,r,s\n host_notification_commands isthmus\n"
            " service_notification_commands isthmus\n}\n"
        )
        for number, host in enumerate(self.hosts, 1):
            text += (
                f"define host {{\n host_name {host}\n address 192.0.2.{number}\n check_command host-ok\n"
                " max_check_attempts 1\n check_interval 5\n check_period always\n contacts isthmus\n"
                " notification_period always\n}\n"
                f"define service {{\n host_name {host}\n service_description {self.check}\n"
                " check_command from-file\n max_check_attempts 2\n check_interval 1\n retry_interval 1\n"
                " check_period always\n contacts isthmus\n notification_interval 4\n notification_period always\n}\n"
            )
        return text


def _python() -> str:
    """Return a Python that the account of the monitoring system may run: ours may lie in somebody's home."""
    own = Path(sys.executable).resolve()
    open_to_all = all(each.stat().st_mode & 0o001 for each in (own, *own.parents))
    return str(own) if open_to_all or os.geteuid() != 0 else "/usr/bin/python3"
