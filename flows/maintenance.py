"""Flows that clean: old versions of the registry, old runs of Prefect's database. Scheduled in prefect.yaml."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from pydantic import Field

from ctllm.flows.notification import notify_of_end
from ctllm.flows.parameters import Help
from ctllm.flows.prefect_database import database_file, delete_old_runs, vacuum
from ctllm.flows.retention import Fate, delete, fates
from ctllm.schemas.registry import Registry

KeepLast = Annotated[int, Field(ge=1), Help("newest versions of each name that stay")]
MinAgeDays = Annotated[float, Field(ge=0), Help("younger versions stay: a run may be reading them")]
DryRun = Annotated[bool, Help("only say what would be deleted")]
KeepDays = Annotated[float, Field(ge=0), Help("flow runs that ended longer ago are deleted with their logs")]


@flow(on_failure=[notify_of_end])
def retention(keep_last: KeepLast = 3, min_age_days: MinAgeDays = 7.0, dry_run: DryRun = True) -> int:
    """Delete old versions, never an accepted one or what something kept was made from; gives the bytes."""
    registry = Registry.default()
    found = fates(registry, keep_last=keep_last, min_age_days=min_age_days)
    doomed = [each for each in found if each.is_deleted]
    size_bytes = sum(each.version.contents.size_bytes for each in doomed)
    verb = "would be deleted" if dry_run else "deleted"
    create_table_artifact(fate_table(found, verb=verb), key="retention", description=f"{size_bytes:,} bytes {verb}")
    if not dry_run:
        delete(registry, doomed)
    get_run_logger().info("%d of %d versions, %s bytes %s", len(doomed), len(found), f"{size_bytes:,}", verb)
    return size_bytes


def fate_table(found: list[Fate], *, verb: str) -> list[dict[str, Any]]:
    """Rows for the run page, what goes first."""
    return [
        {
            "version": each.version.reference,
            "state": each.version.state,
            "MB": round(each.version.contents.size_bytes / 1e6, 2),
            "fate": verb if each.is_deleted else "kept",
            "why": each.why,
        }
        for each in sorted(found, key=lambda each: (not each.is_deleted, each.version.reference))
    ]


@flow(name="database-vacuum", on_failure=[notify_of_end])
def database_vacuum(keep_days: KeepDays = 90.0) -> int:
    """Delete old flow runs from Prefect's database and shrink its SQLite file; gives the bytes that were freed."""
    logger = get_run_logger()
    logger.info("%d flow runs deleted", delete_old_runs(ended_before=datetime.now(UTC) - timedelta(days=keep_days)))
    path = database_file()
    if path is None:
        logger.info("no SQLite file of Prefect's server here; PostgreSQL frees its space by itself")
        return 0
    before, after = vacuum(path)
    logger.info("database: %s bytes before, %s after", f"{before:,}", f"{after:,}")
    return before - after
