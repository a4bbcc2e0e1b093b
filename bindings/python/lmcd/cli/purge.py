"""`lmcd purge`: forget a tenant, and say what was removed."""

from __future__ import annotations

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import bytes_text, print_json
from lmcd.cli.selection import tenant_of
from lmcd.errors import NotFound
from lmcd.operate import Operator, Selector


@click.command("purge")
@click.argument("tenant")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_context
def command(context: Context, tenant: str, yes: bool) -> None:
    """Forget every object of TENANT, pinned and leased ones too, and its quota.

    TENANT is a cache_salt; _default is the empty one. What is being read goes when its leases end,
    what is being written is told as left. Keys are derived with the salt, so nothing
    else of the tenant can be found by them.
    """
    salt = tenant_of(tenant) or ""
    if not yes:
        click.confirm(f"Forget everything of tenant {tenant}?", abort=True, err=True)
    with context.session() as session:
        facts = purge(session.operator, salt)
    if context.as_json:
        print_json({"tenant": tenant, **facts})
        return
    click.echo(f"removed {facts['objects']} objects, {bytes_text(facts['bytes'])}")
    click.echo("removed its quota" if facts["quota_removed"] else "it had no quota")
    if facts["bytes_left"]:
        click.echo(f"{bytes_text(facts['bytes_left'])} are still read or written")


def purge(operator: Operator, salt: str) -> dict[str, int | bool]:
    """Forget a tenant; return what was removed, and the bytes that leases still hold."""
    cleared = operator.clear(Selector(tenant=salt), force=True)
    try:
        operator.set_quota(salt, None)
        quota_removed = True
    except NotFound:
        quota_removed = False
    left = sum(one.used_bytes for one in operator.quotas() if one.tenant == salt)
    return {
        "objects": cleared.objects,
        "bytes": cleared.bytes,
        "quota_removed": quota_removed,
        "bytes_left": left,
    }
