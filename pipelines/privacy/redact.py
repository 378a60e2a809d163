"""Finds personal data in a batch of texts and says what to put in its place.

One pass over the bytes gives candidates (`candidates.py`); only they meet patterns and rules. Names, postal addresses
and anything that only a reader would recognise are not looked for.
"""

from collections import defaultdict
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from ctllm.pipelines.batch import text_buffers
from ctllm.pipelines.edits import Edit, without_overlaps
from ctllm.pipelines.privacy.accounts import (
    find_emails,
    find_passports,
    find_plates,
    find_qq_ids,
    find_wechat_ids,
)
from ctllm.pipelines.privacy.candidates import Candidates, Trace, find_candidates
from ctllm.pipelines.privacy.context import Finder, Window
from ctllm.pipelines.privacy.hosts import find_ips
from ctllm.pipelines.privacy.numbers import find_bank_cards, find_id_cards, find_landlines, find_mobiles
from ctllm.pipelines.secret_patterns import find_secrets, may_hold_secrets
from ctllm.schemas.privacy_config import PersonalData, PrivacyConfig

KINDS: tuple[PersonalData, ...] = get_args(PersonalData)

_RANKS = {f"pii:{kind}": rank for rank, kind in enumerate(KINDS)}
"""The surer kind first: of two at one place the first counts."""

PLACEHOLDERS: dict[PersonalData, str] = {
    "id_card": "<身份证号>",
    "bank_card": "<银行卡号>",
    "mobile": "<手机号>",
    "landline": "<座机号>",
    "email": "<邮箱>",
    "qq": "<QQ号>",
    "wechat": "<微信号>",
    "passport": "<护照号>",
    "plate": "<车牌号>",
    "ip": "<IP地址>",
    "secret": "<密钥>",
}

_FINDERS: dict[Trace, tuple[tuple[PersonalData, Finder], ...]] = {
    Trace.NUMBER: (
        ("id_card", find_id_cards),
        ("bank_card", find_bank_cards),
        ("mobile", find_mobiles),
        ("landline", find_landlines),
    ),
    Trace.ADDRESS: (("email", find_emails),),
    Trace.HOST: (("ip", find_ips),),
    Trace.PLATE: (("plate", find_plates),),
    Trace.CONTACT: (("qq", find_qq_ids), ("wechat", find_wechat_ids)),
    Trace.PASSPORT: (("passport", find_passports),),
}
"""What may stand at each trace."""

_REACH: dict[Trace, tuple[int, int]] = {
    Trace.NUMBER: (32, 32),
    Trace.ADDRESS: (96, 128),  # a local part has 64 characters at most; domains hardly ever more than 60
    Trace.HOST: (32, 48),
    Trace.PLATE: (2, 10),
    Trace.CONTACT: (10, 40),
    Trace.PASSPORT: (0, 40),
}
"""Characters before and after a trace that its finders look at."""


def find_personal_data(texts: "pa.Array[Any]", *, config: PrivacyConfig) -> dict[int, list[Edit]]:
    """Row of a string array to its edits in order of their place; rows without personal data are left out."""
    data, offsets = text_buffers(texts)
    candidates = find_candidates(data, offsets)
    finders = {
        trace: chosen
        for trace, each in _FINDERS.items()
        if (chosen := [(kind, find) for kind, find in each if getattr(config, kind) != "off"])
    }
    found: dict[int, list[Edit]] = {}
    places = _by_text(candidates, set(finders))
    with_secrets = set(np.flatnonzero(may_hold_secrets(data, offsets)).tolist() if config.secret != "off" else ())
    for row in sorted(places.keys() | with_secrets):
        text = texts[row].as_py()
        edits = _find_in_text(text, places.get(row, []), finders, config)
        if row in with_secrets:
            edits += [_edit("secret", each.start, each.end, config) for each in find_secrets(text)]
        if edits:
            found[row] = without_overlaps(sorted(edits, key=lambda edit: _RANKS[edit["kind"]]))
    return found


def _edit(kind: PersonalData, start: int, end: int, config: PrivacyConfig) -> Edit:
    replacement = PLACEHOLDERS[kind] if getattr(config, kind) == "redact" else None
    return Edit(kind=f"pii:{kind}", start=start, end=end, replacement=replacement)


def _by_text(candidates: Candidates, traces: set[Trace]) -> dict[int, list[tuple[Trace, int, int]]]:
    places: defaultdict[int, list[tuple[Trace, int, int]]] = defaultdict(list)
    is_wanted = np.isin(candidates.traces, list(traces))
    columns = (candidates.texts, candidates.traces, candidates.starts, candidates.ends)
    for row, trace, start, end in zip(*(column[is_wanted].tolist() for column in columns), strict=True):
        places[row].append((Trace(trace), start, end))
    return places


def _find_in_text(
    text: str,
    places: list[tuple[Trace, int, int]],
    finders: dict[Trace, list[tuple[PersonalData, Finder]]],
    config: PrivacyConfig,
) -> list[Edit]:
    edits: list[Edit] = []
    for trace, start, end in places:
        before, after = _REACH[trace]
        window = Window.around(text, start, end, before=before, after=after)
        for kind, find in finders[trace]:
            edits += [_edit(kind, window.origin + first, window.origin + last, config) for first, last in find(window)]
    return edits
