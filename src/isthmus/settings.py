"""The one reader of settings: environment variables `ISTHMUS_*`, each documented here with its default."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from isthmus.kernel.errors import NeedsOperator


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Effective settings of one process."""

    data_dir: Path = field(
        default=Path("data"), metadata={"help": "Directory of the book, the log and the keys."}
    )
    database_url: str = field(
        default="", metadata={"help": "postgresql://… for the scaled store; empty: SQLite.", "secret": True}
    )
    bind: str = field(default="127.0.0.1", metadata={"help": "Address that the front listens on."})
    port: int = field(default=8420, metadata={"help": "Port that the front listens on."})
    base_url: str = field(default="", metadata={"help": "Public URL of the console, for links in messages."})
    allowed_hosts: str = field(
        default="localhost,127.0.0.1,[::1]", metadata={"help": "Host names that pages answer to."}
    )
    test_clock: bool = field(
        default=False, metadata={"help": "Allow a forwarded clock (journalled; never in production)."}
    )
    keys_dir: str = field(default="", metadata={"help": "Directory of the key file; empty: <data_dir>/keys."})
    witness: str = field(
        default="",
        metadata={
            "help": "File outside the store that checkpoints go to; empty: <data_dir>/witness/checkpoints.jsonl."
        },
    )
    intake_bytes_max: int = field(
        default=2_000_000, metadata={"help": "Largest accepted request body at intake."}
    )
    intake_queue_max: int = field(
        default=20_000, metadata={"help": "Requests waiting for the durable commit before 503."}
    )
    stream_listen: str = field(
        default="",
        metadata={"help": "Address for streams of messages (syslog), e.g. 0.0.0.0:6514; empty: none."},
    )
    stream_certificate: str = field(
        default="", metadata={"help": "PEM of the stream listener's certificate; empty: plain TCP."}
    )
    stream_key: str = field(
        default="", metadata={"help": "PEM of its private key; empty: it is beside the certificate."}
    )
    stream_authorities: str = field(
        default="", metadata={"help": "PEM of who issues client certificates; then every sender needs one."}
    )
    smtp_listen: str = field(
        default="",
        metadata={"help": "Address where mail servers hand mail over by SMTP, e.g. 0.0.0.0:25; empty: none."},
    )
    smtp_certificate: str = field(
        default="", metadata={"help": "PEM of the mail listener's certificate, for STARTTLS; empty: plain."}
    )
    smtp_key: str = field(
        default="", metadata={"help": "PEM of its private key; empty: it is beside the certificate."}
    )
    smtp_require_tls: bool = field(
        default=False, metadata={"help": "Take mail only after STARTTLS. Signing in always needs it."}
    )
    smtp_name: str = field(
        default="", metadata={"help": "Host name that the mail listener greets with; empty: isthmus.invalid."}
    )
    allow_private_addresses: bool = field(
        default=False, metadata={"help": "Let connections reach private addresses (loopback, RFC 1918)."}
    )
    log_level: str = field(default="INFO", metadata={"help": "Least severe log level written."})
    connectors_dir: str = field(
        default="",
        metadata={
            "help": "Directory of further connectors, one folder each, beside those that ship with Isthmus."
        },
    )
    secure_cookies: bool = field(
        default=False,
        metadata={"help": "Send cookies over HTTPS only; implied by a base_url that begins with https://."},
    )

    @property
    def book_path(self) -> Path:
        return self.data_dir / "book.sqlite"

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "log"

    @property
    def keys_path(self) -> Path:
        return (Path(self.keys_dir) if self.keys_dir else self.data_dir / "keys") / "keys.sqlite"

    @property
    def witness_path(self) -> Path:
        return Path(self.witness) if self.witness else self.data_dir / "witness" / "checkpoints.jsonl"


def _read(name: str, kind: str, raw: str) -> Any:
    try:
        match kind:
            case "int":
                return int(raw)
            case "bool":
                return {
                    "1": True,
                    "true": True,
                    "yes": True,
                    "0": False,
                    "false": False,
                    "no": False,
                    "": False,
                }[raw.lower()]
            case "Path":
                return Path(raw)
            case _:
                return raw
    except (ValueError, KeyError) as cause:
        raise NeedsOperator(
            f"{name}={raw!r} is not a valid {kind}.", remedy="Correct the environment variable."
        ) from cause


def load(environment: dict[str, str] | None = None) -> Settings:
    """Return the settings that `environment` (default: the process environment) asks for."""
    source = dict(os.environ) if environment is None else environment
    found: dict[str, Any] = {}
    for each in fields(Settings):
        name = f"ISTHMUS_{each.name.upper()}"
        if name in source:
            found[each.name] = _read(name, str(each.type), source[name])
    if "database_url" not in found and source.get("DATABASE_URL"):
        found["database_url"] = source["DATABASE_URL"]
    return Settings(**found)
