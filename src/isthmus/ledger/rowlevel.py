"""PostgreSQL row-level security: the second wall behind the scoped querysets.

Entries and projections show a connection only rows of the organisations named in the setting
`isthmus.organisations` (`*`: all, as the hub's own loops open it), and rows shared with them. A connection
that never opened a scope sees nothing. Superusers pass every policy: run the hub as an ordinary role.
"""

from __future__ import annotations

from typing import Any

from django.db import connection

from isthmus.ledger.schema import models_by_kind
from isthmus.ledger.visibility import SETTING

_POLICY = """
DO $$ BEGIN
    ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY;
    ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY;
    DROP POLICY IF EXISTS isthmus_scope ON "{table}";
    CREATE POLICY isthmus_scope ON "{table}" USING (
        current_setting('{setting}', true) = '*'
        OR organisation = ANY (string_to_array(current_setting('{setting}', true), ','))
        {shared}
    ) WITH CHECK (true);
END $$;
"""
_SHARED = """OR {id} IN (
            SELECT shared_record FROM ledger_share
            WHERE view <> '' AND shared_with = ANY (string_to_array(current_setting('{setting}', true), ','))
        )"""
_SHARE_ITSELF = "OR shared_with = ANY (string_to_array(current_setting('{setting}', true), ','))"


def install(**_: Any) -> None:
    """Put the policy on entries and every projection; called after each migration, does nothing on SQLite."""
    if connection.vendor != "postgresql":
        return
    existing = set(connection.introspection.table_names())
    shown = {str(model._meta.db_table): _SHARED for model in models_by_kind().values()}  # noqa: SLF001 - Django's documented API
    shown |= {"ledger_share": _SHARE_ITSELF, "ledger_entry": _SHARED}
    with connection.cursor() as cursor:
        for table, shared in shown.items():
            if table in existing:
                owner = "record" if table == "ledger_entry" else "id"
                shared_too = shared.format(setting=SETTING, id=owner)
                cursor.execute(_POLICY.format(table=table, setting=SETTING, shared=shared_too))
