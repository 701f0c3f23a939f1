"""Kinds of records, permissions and lists."""

from __future__ import annotations

from isthmus.cli.documentation.markdown import page, table


def permissions() -> str:
    """Return the page of permissions and roles."""
    from isthmus.identity.roles import MFA_ROLES, NEVER_BY_TOKEN, PERMISSIONS, ROLES, permissions_of

    names = sorted(ROLES)
    rows = [
        (
            f"`{permission}`",
            meaning,
            *("yes" if permission in permissions_of(frozenset({role})) else "" for role in names),
            "never" if permission in NEVER_BY_TOKEN else "",
        )
        for permission, meaning in sorted(PERMISSIONS.items())
    ]
    return page(
        "Roles and permissions",
        "Deny by default; one check for pages, API and command line. The scopes of service tokens are the same words. "
        f"A second factor is demanded of: {', '.join(sorted(MFA_ROLES))}.",
        table(("permission", "allows", *names, "by token"), rows),
    )


def kinds() -> str:
    """Return the page of record kinds."""
    from isthmus.kernel.kinds import KINDS

    parts = []
    for kind in KINDS.values():
        rows = [
            (
                f"`{each.name}`",
                each.type.value + (f" ({', '.join(each.choices)})" if each.choices else ""),
                each.data_class.value,
                each.policy.value + (", authority" if each.authority else ""),
            )
            for each in kind.fields
        ]
        parts += [f"## {kind.name}", table(("field", "type", "data class", "merge policy"), rows)]
    intro = (
        "Every field with its type, data class and default merge policy. Fields marked *authority* never travel through "
        "synchronisation. Merge policies: [synchronisation](../explanation/synchronisation.md#field-policies)."
    )
    return page("Record kinds", intro, *parts)


def lists() -> str:
    """Return the page of lists."""
    from isthmus.web.lists.tables import TABLES

    parts = []
    for each in TABLES.values():
        columns = [
            (
                f"`{column.key}`",
                column.heading,
                "always" if column.key == each.fixed else "yes" if column.shown else "",
                "yes" if column.order else "",
            )
            for column in each.columns
        ]
        filters = [
            (f"`{one.name}`", ", ".join(one.possible) or "any text", one.usual, "yes" if one.many else "")
            for one in each.filters
        ]
        parts += [
            f"## {each.title}",
            f"`{each.key}`, page `{each.path}`, permission `{each.permission}`.",
            table(("column", "heading", "usually shown", "sorts"), columns),
            table(("filter", "values", "usually", "several"), filters),
        ]
    return page(
        "Lists",
        "The lists of the console with what may stand in their addresses; `/api/v1/lists/{table}` and `isthmus views rows` "
        "take the same. [How to use them](../how-to/lists-and-views.md).",
        *parts,
    )
