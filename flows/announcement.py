"""The event that a new version is there: what the trigger of `train-version` in prefect.yaml waits for."""

from prefect.events import emit_event
from prefect.events.worker import EventsWorker

from ctllm.schemas.data_version import DEV, DataVersion
from ctllm.schemas.errors import MissingPartError

PUBLISHED = "ctllm.version.published"


def announce(version: DataVersion) -> None:
    """Emits the event, except for `dev`. Raises MissingPartError when no server takes it."""
    if version.version == DEV:
        return
    resource = {
        "prefect.resource.id": f"ctllm.version.{version.name}.{version.version}",
        "prefect.resource.name": version.reference,
        "ctllm.kind": version.contents.kind,
    }
    if emit_event(PUBLISHED, resource, payload={"version": version.reference}) is None:
        raise MissingPartError(
            f"{version.reference}: published, but no server was told; set PREFECT_API_URL and run "
            f"`prefect deployment run train-version/local -p version={version.reference}`"
        )


def flush() -> None:
    """Waits until the server has what was emitted; for commands that end at once."""
    EventsWorker.instance().drain()
