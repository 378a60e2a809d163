"""RUN/report.html: the data card as one file that opens from disk, needs no server and asks nothing of any network.

`page/index.html` is the page; what it links to (style, scripts, charts, data) is written into it. About 5 MB, of which
4.8 MB are plotly.js. The same run gives the same bytes, but for the stage times in its manifest.
"""

import base64
import hashlib
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from ctllm.dashboards.card import run_card
from ctllm.dashboards.curves import training_curves, with_ratios
from ctllm.dashboards.lineage import lineage
from ctllm.schemas.files import join, written_whole

PAGE = Path(__file__).parent / "page"
PLOTLY = "plotly.js"  # the one script that is not ours: the `plotly` package brings it

_LINKED = re.compile(
    r'<link rel="stylesheet" href="(?P<style>[^"]+)">'
    r'|<script src="(?P<script>[^"]+)"></script>'
    r'|(?P<data><script id="card" type="application/json">)'
    r"|(?P<live><!--live-->\n)"
)


def write_report(run: str, trainings: Sequence[str] = ()) -> str:
    """Writes `RUN/report.html` and returns its path.

    `trainings` are directories of training runs, or of `ctllm ratios`; each run becomes curves and a column of results.
    Raises InputError when `stats/` is missing or a training directory has no ledger.
    """
    runs, ratios = with_ratios(list(trainings))
    curves = [training_curves(each) for each in runs]
    page = render(run_card(run) | {"trainings": curves, "ratios": ratios, "lineage": lineage(run, runs)})
    path = join(run, "report.html")
    with written_whole(path) as file:
        file.write(page.encode())
    return path


def render(card: dict[str, Any]) -> str:
    """The page with everything it links to written into it, and a policy that lets nothing else run or load."""
    scripts: list[str] = []

    def inline(match: re.Match[str]) -> str:
        if match["style"]:
            return f"<style>\n{_page_file(match['style'])}</style>"
        if match["script"]:
            scripts.append(_page_file(match["script"]))
            return f"<script>{scripts[-1]}</script>"
        if match["data"]:
            return match["data"] + embedded_json(card)
        return ""  # scripts of the live page only

    page = _LINKED.sub(inline, _page_file("index.html"))
    return page.replace("<!--policy-->", _policy(scripts), 1)


def embedded_json(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    r"""JSON that cannot end the script element around it: `<` is written as `\u003c`, NaN and infinity as null."""
    encoder = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    try:
        text = encoder.encode(value)
    except ValueError:  # a copy of a large card takes as long as its text, and few hold such a number
        text = encoder.encode(_finite(value))
    return text.replace("<", "\\u003c")


def _finite(value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _page_file(name: str) -> str:
    return str(get_plotlyjs()) if name == PLOTLY else (PAGE / name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    """Only these scripts run, nothing is fetched. Charts set styles from script, so inline styles are allowed."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    rules = [
        "default-src 'none'",
        f"script-src {allowed}",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">'
