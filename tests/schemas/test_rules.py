"""A field of a rule set is a rule: its name says which bound on which signal."""

import pytest

from ctllm.schemas.config import parse_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.rules import CodeRules, CtllmZhRules, EnRules, Rule, RulesConfig, RuleSet, ZhRules
from ctllm.schemas.signals import SIGNAL_NAMES


@pytest.mark.parametrize("rule_set", [ZhRules(), CtllmZhRules(), EnRules(), CodeRules()])
def test_every_rule_bounds_a_measured_signal_and_names_its_source(rule_set: RuleSet) -> None:
    """No rule waits for a signal that nobody measures, and no number stands without its source."""
    for rule in rule_set.rules():
        assert rule.signal in SIGNAL_NAMES
        assert rule.name == f"{'min' if rule.is_minimum else 'max'}_{rule.signal}"
        assert type(rule_set).model_fields[rule.name].description


def test_rules_come_in_field_order_with_off_ones_included() -> None:
    """The order of the fields is the order of the reasons; null keeps its place as None."""
    rules = CodeRules(min_num_chars=None, max_digit_share=0).rules()
    assert rules[0] == Rule("min_num_chars", "num_chars", True, None)
    assert Rule("max_digit_share", "digit_share", False, 0) in rules
    assert [rule.name for rule in rules] == list(CodeRules.model_fields)


def test_a_percent_is_refused_with_the_share_it_meant() -> None:
    """30 for a share names the key and proposes 0.3."""
    with pytest.raises(ConfigError, match=r"zh\.max_digit_share.*did you mean 0\.3\?"):
        parse_config({"zh": {"max_digit_share": 30}}, RulesConfig, origin="rules.yaml")


def test_an_unknown_rule_is_refused_with_the_nearest_name() -> None:
    """A misspelt rule never runs silently without effect."""
    with pytest.raises(ConfigError, match="did you mean max_menu_share"):
        parse_config({"zh": {"max_menus_share": 0.3}}, RulesConfig, origin="rules.yaml")
