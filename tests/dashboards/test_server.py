"""The addresses of the dashboard, asked over ASGI: what is answered, and what is not."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plotly
import pytest
from fastapi.testclient import TestClient

from ctllm.dashboards import discovery
from ctllm.dashboards.access import Access
from ctllm.dashboards.card import run_card
from ctllm.dashboards.discovery import Shelf
from ctllm.dashboards.report import PAGE, embedded_json
from ctllm.dashboards.server import LIVE_SCRIPTS, build_app, live_page
from ctllm.dashboards.workshop import Workshop

TOKEN = "a-long-token-of-the-tests"


@pytest.fixture(scope="module")
def runs(corpus_run: Path, training: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A curation, a training and a broken curation. Only read it."""
    root = tmp_path_factory.mktemp("live") / "runs"
    shutil.copytree(corpus_run, root / "zh" / "v1")
    shutil.copytree(training, root / "pretrain")
    (root / "broken" / "stats").mkdir(parents=True)
    (root / "broken" / "manifest.json").write_text('{"run_id": 1}')
    (root / "broken" / "stats" / "stats.json").write_text("{}")
    (root.parent / "secret.json").write_text("secret")
    return root


@pytest.fixture(scope="module")
def client(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A browser on this machine; the database of the curation is built."""
    with Workshop(tmp_path_factory.mktemp("cache")) as workshop:
        app = build_app(Shelf([runs]), workshop, Access.checked("127.0.0.1", token=None))
        with TestClient(app, base_url="http://127.0.0.1:8050") as client:
            wait_for_index(client, "zh/v1")
            yield client


def wait_for_index(client: TestClient, name: str) -> None:
    """Until the tables of a run stand together."""
    deadline = time.monotonic() + 60
    while client.get(f"/api/runs/{name}/index").json()["state"] == "building":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def value(client: TestClient, address: str, **parameters: Any) -> Any:
    """The JSON answer, which must be a good one."""
    response = client.get(f"/api/{address}", params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def test_runs_are_listed(client: TestClient) -> None:
    """Curations and trainings with their names; the broken one with its reason."""
    lists = value(client, "runs")
    assert [line["name"] for line in lists["curation"]] == ["broken", "zh/v1"]
    assert "trouble" in lists["curation"][0]
    assert [line["name"] for line in lists["training"]] == ["pretrain"]


def test_the_card_is_the_reports(client: TestClient, corpus_run: Path) -> None:
    """The same page gets the same card, but for the sample that a server has no need of."""
    expected = json.loads(embedded_json(run_card(str(corpus_run))))
    del expected["signal_sample"]
    assert value(client, "runs/zh/v1/card") == expected | {"trainings": []}


def test_every_question_has_an_answer(client: TestClient) -> None:
    """Lists, search, one document, clusters, one source, other thresholds, a training."""
    listed = value(client, "runs/zh/v1/documents", lane="zh", outcome="removed")
    assert listed["total"] > len(listed["documents"]) == 50
    key = listed["documents"][0]["key"]
    assert int(
        value(client, "runs/zh/v1/documents", lane="zh", outcome="removed", after=listed["after"])["documents"][0][
            "key"
        ]
    ) > int(listed["after"])
    assert value(client, "runs/zh/v1/document", key=key)["key"] == key
    assert value(client, "runs/zh/v1/search", text="的", lane="zh")["hits"]
    assert value(client, "runs/zh/v1/search", text=r"\d+", regex=True)["hits"]
    cluster = value(client, "runs/zh/v1/clusters")["clusters"][0]
    assert len(value(client, "runs/zh/v1/cluster", key=cluster["cluster"])["members"]) == cluster["size"]
    source = listed["documents"][0]["source"]
    assert value(client, "runs/zh/v1/source", source=source, signal="num_chars")["histogram"]["zh"]
    assert value(client, "runs/zh/v1/what-if", change=["zh.max_digit_share=0.02", "en.max_hash_share=off"])["overrides"]
    assert value(client, "runs/zh/v1/border", change=["zh.max_digit_share=0.01"])["documents"]
    assert len(value(client, "trainings/pretrain/ledger")["points"]) == 60


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("runs/nothing/card", 404), ("runs/pretrain/card", 404), ("trainings/zh/v1/ledger", 404), ("nothing", 404),
        ("runs/broken/card", 409), ("runs/broken/index", 404),
        ("runs/zh/v1/document?key=99999999999", 404), ("runs/zh/v1/document?key=-1", 400),
        ("runs/zh/v1/document", 400),
        ("runs/zh/v1/document?key=18446744073709551616", 400), ("runs/zh/v1/document?key=%00", 400),
        ("runs/zh/v1/search?text=(&regex=1", 400), ("runs/zh/v1/search?text=", 400),
        ("runs/zh/v1/search?text=" + 600 * "x", 400), ("runs/zh/v1/what-if?change=zh.max_digit_share=nan", 400),
        ("runs/zh/v1/documents?lane=fr", 400), ("runs/zh/v1/documents?reason=x", 400),
        ("runs/zh/v1/documents?source=x", 404),
        ("runs/zh/v1/what-if?change=zh.max_digit_share", 400), ("runs/zh/v1/what-if?change=zh.x=1", 400),
        ("runs/zh/v1/what-if?change=zh.max_digit_share=nan;DROP", 400), ("runs/zh/v1/source?source=x", 404),
        ("runs/zh/v1/clusters?kind=x", 400), ("trainings/pretrain/ledger?offset=-5", 400),
    ],
)  # fmt: skip
def test_bad_questions_get_a_sentence(client: TestClient, address: str, status: int) -> None:
    """What is wrong is said in JSON, and is never an error of the server."""
    response = client.get(f"/api/{address}")
    assert response.status_code == status
    assert len(response.json()["error"]) > 5


@pytest.mark.parametrize(
    "name",
    [
        "%2e%2e",
        "%2e%2e/secret.json",
        "..%2f..%2fetc%2fpasswd",
        "zh%2f..%2f..",
        "%2e%2e/%2e%2e",
        "zh/v1/%2e%2e/%2e%2e/%2e%2e",
        "/etc",
        "zh%2fv1%00",
        "zh\\v1",
    ],
)
def test_no_path_leads_out(client: TestClient, name: str) -> None:
    """Names and files of the page are looked up: a path in their place finds nothing."""
    for address in (
        f"/api/runs/{name}/card",
        f"/api/trainings/{name}/ledger",
        f"/page/{name}",
        f"/api/runs/{name}/document?key=0",
    ):
        response = client.get(address)
        assert response.status_code in (400, 404)
        assert "secret" not in response.text.replace("secret.json", "")
        assert "root:" not in response.text


def test_pages_carry_their_policy(client: TestClient) -> None:
    """Every answer has the policy that lets only this server's scripts run; data is not kept by browsers."""
    for address in (
        "/",
        "/run/zh/v1",
        "/training/x",
        "/compare",
        "/page/page.css",
        "/page/plotly.js",
        "/api/runs",
        "/api/nothing",
        "/nothing",
    ):
        headers = client.get(address).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
        assert "unsafe-eval" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert ("no-store" in headers["cache-control"]) if address.startswith("/api/") else True
        assert "access-control-allow-origin" not in headers


def test_the_live_page_links_to_its_own_files_only(client: TestClient) -> None:
    """Every script and style is a file of the page, none stands in the markup, no card is in it."""
    page = live_page()
    linked = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert all(each.startswith(("/page/", "data:,")) for each in linked)
    assert {f"/page/{name}" for name in LIVE_SCRIPTS} <= set(linked)
    assert all(client.get(each).status_code == 200 for each in linked if each.startswith("/page/"))
    assert re.findall(r"<script(?! src| id=\"card\")", page) == []
    assert (
        f'<meta name="plotly" content="/page/plotly.js?{plotly.__version__}">' in page
    )  # run by live.js after the rest
    assert "immutable" in client.get("/page/plotly.js").headers["cache-control"]
    assert "<!--" not in page


def test_nothing_is_written(client: TestClient) -> None:
    """Whatever else than reading is asked for is refused."""
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/api/runs").status_code == 405
    assert client.get("/api/runs", headers={"host": "evil.example"}).status_code == 421


def test_a_run_that_goes_is_gone(
    corpus_run: Path, training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted under the reader, a run answers 410 in every place, and the list goes on."""
    monkeypatch.setattr(discovery, "FRESH_S", 0.0)
    run = shutil.copytree(corpus_run, tmp_path / "runs" / "a")
    ledger = shutil.copytree(training, tmp_path / "runs" / "t")
    with Workshop(tmp_path / "cache") as workshop:
        app = build_app(Shelf([tmp_path / "runs"]), workshop, Access.checked("localhost", token=None))
        with TestClient(app, base_url="http://localhost") as client:
            wait_for_index(client, "a")
            assert client.get("/api/runs/a/document?key=0").status_code == 200
            shutil.rmtree(run / "documents")
            assert client.get("/api/runs/a/document?key=0").status_code == 404
            assert client.get("/api/runs/a/search?text=的").status_code == 404
            shutil.rmtree(run)
            shutil.rmtree(ledger)
            for address in ("runs/a/card", "runs/a/index", "runs/a/documents", "runs/a/what-if", "trainings/t/ledger"):
                assert client.get(f"/api/{address}").status_code == 410
            assert client.get("/api/runs").json() == {"curation": [], "training": []}


def test_the_token_opens_the_door(runs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Without it nothing is told; given once it is kept in a cookie that no script reads, and it is never written."""
    with Workshop(tmp_path) as workshop:
        app = build_app(Shelf([runs]), workshop, Access.checked("0.0.0.0", token=TOKEN))
        with TestClient(app, base_url="http://box.example") as client:
            assert client.get("/").status_code == 200
            assert client.get("/api/health").text == "ok"
            assert client.get("/api/runs").status_code == 401
            assert (
                client.post("/api/login", headers={"Authorization": "Bearer wrong-but-long-enough"}).status_code == 401
            )
            answer = client.post("/api/login", headers={"Authorization": f"Bearer {TOKEN}"})
            assert answer.status_code == 204
            assert {"httponly", "samesite=strict"} <= set(answer.headers["set-cookie"].lower().split("; "))
            assert client.get("/api/runs").status_code == 200
    assert TOKEN not in "".join(capfd.readouterr())


def test_scripts_share_one_space() -> None:
    """No two scripts of the page declare the same name: the later would take the earlier one's place in silence."""
    names = [
        match
        for path in sorted(PAGE.glob("*.js"))
        for match in re.findall(
            r"^(?:async )?(?:function\*?|const|let|class) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
    ]
    assert len(names) > 150
    assert sorted(names) == sorted(set(names))


def test_every_live_word_is_in_both_languages() -> None:
    """Each entry has a Chinese and an English text, and no entry of the report is overwritten unawares."""
    live = (PAGE / "live_words.js").read_text(encoding="utf-8")
    entries = re.findall(r'^  (\w+): \["((?:[^"\\]|\\.)+)", "((?:[^"\\]|\\.)+)"\],$', live, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^  \w+:", live, re.MULTILINE))
    assert all(
        re.search(r"[一-鿿]", chinese) and not re.search(r"[一-鿿]", english)
        for _, chinese, english in entries
        if english != "#"
    )
    words = (PAGE / "words.js").read_text(encoding="utf-8").split("const LANES", maxsplit=1)[0]
    known = dict(re.findall(r'^  (\w+): (\["(?:[^"\\]|\\.)+", "(?:[^"\\]|\\.)+"\]),$', words, re.MULTILINE))
    changed = [name for name, *texts in entries if name in known and json.loads(known[name]) != texts]
    assert changed == []


def test_every_word_that_is_asked_for_is_there() -> None:
    """The live scripts name no word that the dictionaries lack."""
    dictionary = "".join((PAGE / name).read_text(encoding="utf-8") for name in ("words.js", "live_words.js"))
    known = set(re.findall(r"^  (\w+): \[", dictionary, re.MULTILINE))
    for name in LIVE_SCRIPTS:
        script = (PAGE / name).read_text(encoding="utf-8")
        asked = set(re.findall(r'\bword\("(\w+)"', script)) | set(re.findall(r'\["#?(\w+)", (?:\(row\)|null)', script))
        assert asked <= known, f"{name}: {asked - known}"
