"""Roles and what each may do: one table that a service manager can review.

A permission is `<noun>:<verb>`; the scopes of service tokens are the same words. Deny by default: what is
not listed is refused. Nobody, administrators included, approves by being powerful: deciding an approval is
its own permission, and it is never given to a token.
"""

from __future__ import annotations

from typing import Final

PERMISSIONS: Final[dict[str, str]] = {
    "overview:read": "See the overview",
    "alert:read": "See alerts and what became of them",
    "alert:write": "Acknowledge and silence alerts",
    "incident:read": "See incidents",
    "incident:write": "Comment on, assign, resolve and change incidents",
    "problem:read": "See problems and known errors",
    "problem:write": "Raise problems, say what causes them, write known errors",
    "problem:publish": "Publish known errors, edit published ones and retire them",
    "change:read": "See changes, the calendar and gate decisions",
    "change:write": "Raise and edit changes, request approval",
    "change:manage": "Schedule, implement, review and close changes; set freezes",
    "approval:read": "See approvals",
    "approval:decide": "Approve or refuse",
    "oncall:read": "See who is on call, escalations and notifications",
    "oncall:write": "Override rotas, acknowledge, page, try channels",
    "gate:check": "Ask the deployment gate",
    "ci:read": "See configuration items and the map",
    "ci:write": "Import and edit configuration items",
    "system:read": "See connected systems and their health",
    "system:write": "Pause, resume and probe connections",
    "delivery:read": "See deliveries and dead letters",
    "delivery:retry": "Retry deliveries, and give dead letters up",
    "link:read": "See links to other systems",
    "link:write": "Link and unlink records",
    "conflict:read": "See conflicts",
    "conflict:decide": "Decide conflicts and restore losers",
    "sla:read": "See service level clocks, their ledgers and reports",
    "sla:write": "Have service level clocks counted anew",
    "trace:read": "See the story of a record",
    "audit:read": "Read the journal",
    "audit:verify": "Verify the journal",
    "audit:export": "Download the evidence pack",
    "configuration:read": "See the blueprint and its generations",
    "configuration:write": "Apply and roll back blueprints",
    "people:read": "See people and their roles",
    "people:write": "Add people, grant and revoke roles",
    "token:read": "See service accounts",
    "token:write": "Issue and revoke service tokens",
    "view:read": "Use lists by their columns and kept views",
    "view:write": "Keep columns and views for oneself",
    "view:share": "Share views with the organisation, and change shared ones",
}
"""Every permission with the words that pages use for it."""

_READ = frozenset(
    {
        "overview:read", "oncall:read", "alert:read", "incident:read", "change:read", "approval:read", "ci:read", "system:read",
        "delivery:read", "link:read", "conflict:read", "sla:read", "trace:read", "problem:read", "view:read", "view:write",
    }
)  # fmt: skip

ROLES: Final[dict[str, frozenset[str]]] = {
    "viewer": _READ,
    "agent": _READ
    | {
        "oncall:write", "alert:write", "incident:write", "change:write", "link:write", "conflict:decide", "delivery:retry",
        "gate:check", "view:share", "problem:write",
    },
    "problem_manager": _READ
    | {"incident:write", "problem:write", "problem:publish", "change:write", "view:share"},
    "change_manager": _READ
    | {"oncall:write", "change:write", "change:manage", "incident:write", "gate:check", "view:share"},
    "approver": _READ | {"approval:decide", "configuration:read"},
    "integration_engineer": _READ
    | {
        "ci:write", "system:write", "delivery:retry", "link:write", "conflict:decide", "configuration:read",
        "configuration:write", "gate:check", "sla:write", "oncall:write", "view:share",
    },
    "auditor": _READ
    | {"audit:read", "audit:verify", "audit:export", "configuration:read", "people:read", "token:read"},
    "administrator": frozenset(PERMISSIONS) - {"approval:decide"},
}  # fmt: skip

NEVER_BY_TOKEN: Final = frozenset({"approval:decide", "people:write", "token:write"})
"""Permissions that need a person at the keyboard; a token that asks for one is refused at issue."""

MFA_ROLES: Final = frozenset({"administrator"})
"""Roles whose holders must have a second factor before any page answers them."""


def permissions_of(roles: frozenset[str]) -> frozenset[str]:
    """Return what these roles together may do; unknown roles give nothing."""
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in roles))
