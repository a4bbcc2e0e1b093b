"""`lmcd quota`: how much of the arena each tenant may use."""

from __future__ import annotations

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import DEFAULT_TENANT, bytes_text, print_json, print_table, tenant_text
from lmcd.cli.selection import tenant_of
from lmcd.cli.sizes import SIZE_HELP, size
from lmcd.errors import NotFound
from lmcd.operate import Quota

_TENANT = f"TENANT is a cache_salt; {DEFAULT_TENANT} is the empty one."


@click.group("quota", epilog=_TENANT)
def command() -> None:
    """Quotas of tenants. They are kept across restarts."""


@command.command("list")
@with_context
def list_quotas(context: Context) -> None:
    """Show quota and use of all known tenants."""
    with context.session() as session:
        _print(context, list(session.operator.quotas()))


@command.command("get", epilog=_TENANT)
@click.argument("tenant")
@with_context
def get_quota(context: Context, tenant: str) -> None:
    """Show quota and use of one tenant."""
    salt = tenant_of(tenant)
    with context.session() as session:
        found = [quota for quota in session.operator.quotas() if quota.tenant == salt]
    if not found:
        raise NotFound(f"no tenant {tenant!r} is known")
    _print(context, found)


@command.command("set", epilog=f"{_TENANT} {SIZE_HELP}")
@click.argument("tenant")
@click.argument("limit", type=size, metavar="SIZE")
@with_context
def set_quota(context: Context, tenant: str, limit: int) -> None:
    """Let a tenant use at most SIZE of the arena."""
    _set(context, tenant, limit)


@command.command("delete", epilog=_TENANT)
@click.argument("tenant")
@with_context
def delete_quota(context: Context, tenant: str) -> None:
    """Remove a tenant's quota."""
    _set(context, tenant, None)


def _set(context: Context, tenant: str, limit_bytes: int | None) -> None:
    with context.session() as session:
        session.operator.set_quota(tenant_of(tenant) or "", limit_bytes)
    if context.as_json:
        print_json({"tenant": tenant_of(tenant), "limit_bytes": limit_bytes})
    else:
        limit = "removed" if limit_bytes is None else bytes_text(limit_bytes)
        click.echo(f"quota of {tenant}: {limit}")


def _print(context: Context, quotas: list[Quota]) -> None:
    if context.as_json:
        print_json(quotas)
        return
    print_table(
        ("tenant", "used>", "quota>"),
        (
            (
                tenant_text(one.tenant),
                bytes_text(one.used_bytes),
                "-" if one.limit_bytes is None else bytes_text(one.limit_bytes),
            )
            for one in quotas
        ),
    )
