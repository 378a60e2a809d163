"""Templates that may stand for ours in an export, and those that may not."""

from pathlib import Path

import pytest

from ctllm.model.chat_template import CHAT_TEMPLATE
from ctllm.model.export import export_hf
from ctllm.model.template_check import read_template
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.files import read_json

REFUSING = "{% if messages[0]['role'] == 'assistant' %}{{ raise_exception('begin with a user') }}{% endif %}"


def test_ours_and_stricter_ones_are_taken(tmp_path: Path) -> None:
    """Our template passes, and so does one that also refuses conversations that ours would render."""
    path = tmp_path / "chat.jinja"
    for template in (CHAT_TEMPLATE, REFUSING + CHAT_TEMPLATE):
        path.write_text(template)
        assert read_template(str(path)) == template


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (CHAT_TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", ""), "generation %} markers"),
        (CHAT_TEMPLATE.replace("<|end|>", "</s>"), "has learnt"),
        (CHAT_TEMPLATE.replace("{% generation %}", "").replace("{% for", "{% generation %}{% for", 1)
         .replace("{% endgeneration %}", "").replace("{% endfor %}", "{% endfor %}{% endgeneration %}"), "has learnt"),
        (CHAT_TEMPLATE.replace("add_generation_prompt", "false"), "has learnt"),
        ("{% for message in messages %}", "TemplateSyntaxError"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ raise_exception('no') }}", "no"),
    ],
)  # fmt: skip
def test_others_are_refused(template: str, message: str, tmp_path: Path) -> None:
    """Without markers, with them around other words, in another format, broken or unsafe: refused, saying which."""
    (tmp_path / "chat.jinja").write_text(template)
    with pytest.raises(ConfigError, match=message):
        read_template(str(tmp_path / "chat.jinja"))


def test_the_export_carries_it(checkpoint: str, tmp_path: Path) -> None:
    """An export with a template of the user's has it in tokenizer_config.json; without one it has ours."""
    path = tmp_path / "chat.jinja"
    path.write_text(REFUSING + CHAT_TEMPLATE)
    out = export_hf(checkpoint, str(tmp_path / "out"), chat_template=str(path))
    assert read_json(f"{out}/tokenizer_config.json")["chat_template"] == REFUSING + CHAT_TEMPLATE
    assert export_hf(checkpoint, out) == out
    assert read_json(f"{out}/tokenizer_config.json")["chat_template"] == CHAT_TEMPLATE


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A template that is not there ends with its path."""
    with pytest.raises(ConfigError, match=r"nowhere\.jinja: cannot be read"):
        read_template(str(tmp_path / "nowhere.jinja"))
