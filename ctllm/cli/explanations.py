"""How decisions are shown: what other thresholds would keep, why a document is out, one run beside another."""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from ctllm.cli.console import console, print_table

if TYPE_CHECKING:
    from ctllm.pipelines.comparison import Comparison
    from ctllm.pipelines.differences import Difference
    from ctllm.pipelines.judgement import Amounts
    from ctllm.pipelines.pairs import PairOfTexts
    from ctllm.pipelines.what_if import BorderDocument, WhatIf
    from ctllm.pipelines.why import Explanation, MetRule

ALL = "all"
MAX_DIFFERENCES = 20  # chosen: what one reads of a pair
CONTEXT_CHARS = 12
MAX_SHOWN_CHARS = 200


def print_json(value: Any) -> None:  # noqa: ANN401 - a dataclass
    """A dataclass as one JSON object; keys of documents as text, because they may be larger than 2^53."""
    print(json.dumps(_plain(value), ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a dataclass holds
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain_field(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain_field(name, each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _plain_field(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever a dataclass holds
    return str(value) if name in ("key", "kept_key", "cluster_id") else _plain(value)


def print_what_if(found: "WhatIf") -> None:
    """A dry run: what is kept per lane and source now and then, which rules make the difference, and examples."""
    rows = []
    for lane in dict.fromkeys(group.lane for group in found.groups):
        groups = [group for group in found.groups if group.lane == lane]
        rows += [row for group in groups for row in _amount_rows(lane, group.source, group.now, group.then)]
        if len(groups) > 1:
            totals = [reduce(add, amounts) for amounts in zip(*((each.now, each.then) for each in groups), strict=True)]
            rows += _amount_rows(lane, ALL, *totals)
    print_table("what would be kept", ["lane", "source", "kept", "now", "then", "difference"], rows)
    if not found.fates:
        console.print("no document changes its fate")
        return
    fates = [
        [fate.lane, fate.reason, now, then, fate.newly_removed, fate.newly_kept]
        for fate in found.fates
        for now, then in [(_bound(fate.threshold_now), _bound(fate.threshold_then))]
    ]
    columns = ["lane", "rule", "now", "then", "removed", "kept"]
    print_table("documents whose fate changes, by first reason", columns, fates)
    for change, title in (("newly_removed", "newly removed"), ("newly_kept", "newly kept")):
        _print_border(f"{title}, nearest to the bound", [each for each in found.border if each.change == change])


def _amount_rows(lane: str, source: str, now: "Amounts", then: "Amounts") -> list[list[object]]:
    counts = [
        ("documents", now.kept_documents, then.kept_documents),
        ("characters", now.kept_chars, then.kept_chars),
        ("tokens", now.kept_tokens, then.kept_tokens),
    ]
    names = [(lane, source), ("", ""), ("", "")]
    return [
        [*name, unit, before, after, _difference(before, after, with_share=not at)]
        for at, (name, (unit, before, after)) in enumerate(zip(names, counts, strict=True))
    ]


def _difference(before: int, after: int, *, with_share: bool = False) -> str:
    if before == after:
        return "="
    share = f" ({(after - before) / before:+.1%})" if before and with_share else ""
    return f"{after - before:+,}{share}"


def _bound(threshold: float | None) -> str:
    return "off" if threshold is None else f"{threshold:g}"


def _print_border(title: str, documents: Sequence["BorderDocument"]) -> None:
    if not documents:
        return
    console.print(f"\n[bold]{title}[/]")
    for each in documents:
        seen = f"{each.lane} {each.reason}: {each.value:.4g} against {each.threshold:.4g}"
        console.print(f"{seen}  {each.id}  {each.url or each.source}", markup=False)
        console.print(f"  {each.excerpt}", markup=False, style="dim", no_wrap=True, overflow="ellipsis")


def print_explanation(found: "Explanation", groups: Mapping[str, Sequence[str]]) -> None:
    """Everything the run knows about one document; `groups` names the signals that belong together."""
    shown = found.document
    console.print(f"[bold]{'kept' if found.kept else 'removed'}[/]  ", end="")
    console.print(f"{shown['id']}  {shown['url'] or ''}", markup=False)
    origin = f"source {shown['source']}, lane {shown['lane']}, language {shown['lang']}, script {shown['script']}"
    console.print(f"{origin}, charset {shown['charset']}, key {shown['key']}", markup=False)
    rules = {rule.reason: rule for rule in found.rules}
    for reason in found.reasons:
        _print_reason(reason, rules.get(reason["reason"]))
    if found.url_category:
        console.print(f"url list: {found.url_category}", markup=False)
    if found.kept_instead:
        _print_copy("kept instead", found.kept_instead)
    for copy in found.stands_for:
        _print_copy("stands for", copy)
    if found.contamination:
        rows = [
            [each["benchmark"], each["item_id"], f"{each['overlap']:.2f}", each["start"], each["end"], each["covered"]]
            for each in found.contamination
        ]
        print_table("benchmark items in the text", ["benchmark", "item", "overlap", "start", "end", "covers"], rows)
    if found.cuts and not found.kept:
        rows = [[each["kind"], each["start"], each["end"]] for each in found.cuts if each["replacement"] is not None]
        print_table("cut before it was judged", ["kind", "start", "end"], rows)
    if found.edits:
        rows = [[each["kind"], each["start"], each["end"], each["replacement"]] for each in found.edits]
        print_table("changed in the published text", ["kind", "start", "end", "replacement"], rows)
    _print_rules(shown["lane"], found.rules)
    for group, names in groups.items():
        if measured := [(name, found.signals[name]) for name in names if name in found.signals]:
            _print_signals(group, measured)
    console.print(f"\n[bold]text[/] ({found.signals['num_chars']:,} characters)")
    console.print(shown["text"], markup=False)


def _print_reason(reason: Mapping[str, Any], rule: "MetRule | None") -> None:
    console.print(f"[bold red]✗ {reason['reason']}[/]", end="")
    if rule is None:
        seen = f" {reason['value']:.4g} against {reason['threshold']:.4g}" if not math.isnan(reason["value"]) else ""
        console.print(seen, markup=False)
        return
    console.print(f" {_number(rule.value)}, asked for {_asked(rule)}", markup=False)
    console.print(f"  number: {rule.source}", markup=False)
    if rule.cost:
        cost = rule.cost
        console.print(
            f"  cost: refuses {cost.failing:,} of {cost.documents:,} documents of the lane "
            f"({cost.failing / max(cost.documents, 1):.1%}), {cost.only:,} of them it alone",
            markup=False,
        )


def _asked(rule: "MetRule") -> str:
    return "off" if rule.threshold is None else f"{'≥' if rule.is_minimum else '≤'} {rule.threshold:g}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"  # not measured
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _print_copy(label: str, copy: Mapping[str, Any]) -> None:
    other = copy["other"]
    console.print(
        f"{label}: {other['id']} {other['url'] or ''} "
        f"({copy['kind']}, Jaccard {copy['jaccard']:.3f}, containment {copy['containment']:.3f})",
        markup=False,
    )
    console.print(other["excerpt"], markup=False, style="dim")
    _print_differences(copy.get("differences", []), ("this one", "kept instead"))


def print_pairs(found: Sequence["PairOfTexts"]) -> None:
    """Pairs one after another: who they are, how similar, and the passages that differ side by side."""
    if not found:
        console.print("no pairs within these bounds")
    for pair in found:
        console.print(
            f"{pair.kind}, Jaccard {pair.jaccard:.3f}, containment {pair.containment:.3f}", markup=False, style="bold"
        )
        for label, document in (("A", pair.one), ("B", pair.other)):
            fate = "removed as a copy" if document["removed"] else "not removed as a copy"
            place = " ".join(each for each in (document["id"], document["url"], document["source"]) if each)
            console.print(f"{label}: {place}, {len(document['text']):,} characters, {fate}", markup=False)
        _print_differences(_in_context(pair), ("A", "B"))
        console.print()


def _in_context(pair: "PairOfTexts") -> list["Difference"]:
    """The first differences with some characters of what stands around them."""
    return [
        dataclasses.replace(
            each,
            text=_marked(pair.one["text"], each.start, each.text),
            other_text=_marked(pair.other["text"], each.other_start, each.other_text),
        )
        for each in pair.differences[:MAX_DIFFERENCES]
    ]


def _marked(text: str, start: int, changed: str) -> str:
    """`changed` in brackets between what stands around it in `text`."""
    before, end = text[max(0, start - CONTEXT_CHARS) : start], start + len(changed)
    return f"{before}[{_line(changed)}]{text[end : end + CONTEXT_CHARS]}"


def _line(text: str) -> str:
    """`text` on one line, its middle left out where it is long."""
    line = text.replace("\n", "⏎")
    return line if len(line) <= MAX_SHOWN_CHARS else f"{line[: MAX_SHOWN_CHARS // 2]}…{line[-MAX_SHOWN_CHARS // 2 :]}"


def _print_differences(found: Sequence["Difference"], names: tuple[str, str]) -> None:
    rows = [[str(each.start), _line(each.text), _line(each.other_text)] for each in found]
    if rows:
        print_table("differences", ["at", *names], rows)


def _print_rules(lane: str, rules: Sequence["MetRule"]) -> None:
    rows = [["✗" if rule.failed else "", rule.reason, _number(rule.value), _asked(rule), rule.source] for rule in rules]
    print_table(f"rules of lane {lane}", ["", "rule", "value", "asked for", "where the number comes from"], rows)


def _print_signals(group: str, values: Iterable[tuple[str, float | None]]) -> None:
    """The signals of one group, two to a line of 80 columns."""
    console.print(f"\n[bold]{group}[/]")
    cells = [f"{name:<28}{_number(value):>10}" for name, value in values]
    for left, right in zip(cells[::2], [*cells[1::2], ""], strict=False):
        console.print(f"{left}  {right}".rstrip(), markup=False)


def print_comparison(found: "Comparison") -> None:
    """One run's funnel; of two runs also what each keeps and how their rules differ, side by side."""
    if len(found.runs) == 1:
        rows = [[each.source, each.lane, each.outcome, each.reason, *each.documents] for each in found.funnel]
        print_table("funnel", ["source", "lane", "outcome", "first reason", "documents"], rows)
        return
    for name, path in zip("AB", found.runs, strict=True):
        console.print(f"{name}: {path}", markup=False)
    rows = [
        [source, lane, unit, *counts, _difference(*counts)]
        for each in found.kept
        for source, lane, unit, counts in (
            (each.source, each.lane, "documents", each.kept_documents),
            ("", "", "characters", each.kept_chars),
            ("", "", "tokens", each.kept_tokens),
        )
    ]
    print_table("kept", ["source", "lane", "kept", "A", "B", "difference"], rows)
    rows = [
        [each.source, each.lane, each.outcome, each.reason, *each.documents, _difference(*each.documents)]
        for each in found.funnel
    ]
    print_table("funnel, documents", ["source", "lane", "outcome", "first reason", "A", "B", "difference"], rows)
    rows = [
        [each.lane, each.reason, *map(_bound, each.thresholds), *each.failing, *each.only]
        for each in found.rules
    ]  # fmt: skip
    columns = ["lane", "rule", "bound A", "bound B", "failing A", "failing B", "only A", "only B"]
    print_table("rules, documents", columns, rows)
