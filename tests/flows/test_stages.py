"""A real stage on a real Prefect server."""

import json
from pathlib import Path

import pytest

from ctllm.schemas.errors import StageError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

TEXT = "春天来了，河边的柳树发芽了。孩子们在田野里放风筝，老人坐在门前晒太阳，说起从前的事情。"


def test_curate_leaves_its_artefacts(tmp_path: Path) -> None:
    """A curate flow ends with curated shards on disk, and with bars, picture and table on its run page."""
    from prefect.client.orchestration import get_client

    from ctllm.flows.stages import curate

    source = tmp_path / "docs.jsonl"
    lines = [json.dumps({"id": f"d{row}", "text": f"第{row}天。{TEXT * 4}"}, ensure_ascii=False) for row in range(3)]
    source.write_text("\n".join([*lines, "{broken"]))
    run = tmp_path / "curated"
    state = curate(inputs=[str(source)], out=str(run), config="configs/curation/demo.yaml", return_state=True)
    assert state.is_completed()
    assert (run / "report.html").is_file()
    assert "read 4 = " in (tmp_path / "logs" / "curate.log").read_text()
    with get_client(sync_client=True) as client:
        artifacts = {
            each.key: each for each in client.read_artifacts() if each.flow_run_id == state.state_details.flow_run_id
        }
    assert {"funnel", "funnel-picture", "progress-curate-measure", "progress-curate-publish"} <= set(artifacts)
    assert artifacts["progress-curate-publish"].data == 100
    table = json.loads(str(artifacts["funnel"].data))
    assert sum(row["documents"] for row in table) == 4
    assert "data:image/svg+xml;base64," in str(artifacts["funnel-picture"].data)


def test_failed_stage_fails_its_run(tmp_path: Path) -> None:
    """A stage that ends with an error fails the run with the command's own message."""
    from ctllm.flows.stages import export

    state = export(checkpoint=str(tmp_path / "nowhere"), out=str(tmp_path / "hf"), return_state=True)
    assert state.is_failed()
    with pytest.raises(StageError, match="nowhere"):
        state.result()


def test_trainer_without_its_limit_is_refused(tmp_path: Path) -> None:
    """A trainer on a server without the limit `trainer` fails at once, instead of running beside another."""
    from ctllm.flows.stages import pretrain

    state = pretrain(config="c", tokens="t", plan="p", out=str(tmp_path / "run"), return_state=True)
    assert state.is_failed()
    assert "trainer" in str(state.message)
    assert not (tmp_path / "logs").exists()
