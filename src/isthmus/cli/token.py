"""`isthmus token`: tokens of service accounts."""

from __future__ import annotations

import typer

from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, console, emit_json, table

app = typer.Typer(
    help="Tokens of service accounts: scoped, expiring, stored as hashes only.", no_args_is_help=True
)


@app.command("issue")
def issue(
    name: str = typer.Argument(help="Name of the service account."),
    scope: list[str] = typer.Option(
        ..., "--scope", help="A permission; repeat for more. See `isthmus token scopes`."
    ),
    days: int = typer.Option(90, min=1, max=366, help="Days until it expires."),
    as_json: bool = JSON,
) -> None:
    """Issue a token. It is shown once and never again."""
    found = Hub(as_json=as_json).call("POST", "/tokens", {"name": name, "scopes": scope, "days": days})
    if as_json:
        emit_json(found)
    else:
        console.print(f"Token of {name}, valid until {found.get('expires_at')}; it is not shown again:")
        typer.echo(found["token"])


@app.command("list")
def list_tokens(as_json: bool = JSON) -> None:
    """Show service accounts with scopes, owner and expiry."""
    found = Hub(as_json=as_json).pages("/tokens", limit=1000)
    if as_json:
        emit_json(found)
        return
    columns = [
        ("id", "Id"),
        ("name", "Name"),
        ("hint", "Token"),
        ("scopes", "Scopes"),
        ("state", "State"),
        ("expires_at", "Expires"),
    ]
    table("Service accounts", columns, found, empty="No token was issued yet.")


@app.command("revoke")
def revoke(account: str = typer.Argument(help="Id of the service account."), as_json: bool = JSON) -> None:
    """Revoke a token; it is refused everywhere within two seconds."""
    found = Hub(as_json=as_json).call("POST", f"/tokens/{account}/revoke")
    if as_json:
        emit_json(found)
    else:
        console.print("Revoked.")


@app.command("scopes")
def scopes(as_json: bool = JSON) -> None:
    """List the permissions that a token may hold."""
    from isthmus.identity.roles import PERMISSIONS

    rows = [{"permission": name, "meaning": meaning} for name, meaning in sorted(PERMISSIONS.items())]
    if as_json:
        emit_json(rows)
    else:
        table("Permissions", [("permission", "Permission"), ("meaning", "Allows")], rows, empty="")
