"""Script shares tell simplified from traditional text and mixed from plain documents."""

import opencc
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.signals.character_counts import count_characters
from ctllm.pipelines.signals.script_shares import measure_scripts


def measured(text: str) -> dict[str, float]:
    """The shares of one text by name."""
    batch = decode_utf8(*text_buffers(pa.array([text], pa.large_string())))
    return {name: float(values[0]) for name, values in measure_scripts(*batch, count_characters(*batch)).items()}


@given(st.text("国图國圖中人aéＢのカ한글я1。 \n", max_size=40))
def test_script_shares_equal_a_plain_count(text: str) -> None:
    """Every share against counting with Python strings; Han and kana are one script."""
    count = {
        kind: sum(text.count(each) for each in kind) for kind in ("国图", "國圖", "中人", "aéＢ", "のカ", "한글", "я")
    }
    han = count["国图"] + count["國圖"] + count["中人"]
    letters = sum(count.values())
    most = max(han + count["のカ"], count["aéＢ"], count["한글"], count["я"])
    assert measured(text) == pytest.approx(
        {
            "simplified_share": count["国图"] / max(han, 1),
            "traditional_share": count["國圖"] / max(han, 1),
            "kana_share": count["のカ"] / max(letters, 1),
            "hangul_share": count["한글"] / max(letters, 1),
            "mixed_share": 1 - most / letters if letters else 0,
        }
    )


def test_the_two_forms_change_places_when_a_text_is_converted() -> None:
    """A simplified text holds no traditional character; converted, none but traditional ones."""
    text = "从前有个农民，他的邻居养了几只鸡，每天早晨叫个不停。"
    simplified, traditional = measured(text), measured(opencc.OpenCC("s2t").convert(text))
    assert simplified["simplified_share"] > 0.2
    assert simplified["traditional_share"] == 0
    assert traditional["traditional_share"] > 0.2
    assert traditional["simplified_share"] == 0
