"""Parameters of flows as the form shows them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from ctllm.flows.stages import curate, export

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


def test_form_has_descriptions_and_limits() -> None:
    """Every parameter of a form has its sentence and keeps its limits."""
    properties = parameter_schema(curate).properties
    assert {name: bool(each.get("description")) for name, each in properties.items()} == {
        "inputs": True,
        "out": True,
        "config": True,
        "overrides": True,
        "workers": True,
    }
    assert properties["inputs"]["minItems"] == 1
    assert properties["workers"]["anyOf"][0] == {"minimum": 1, "type": "integer"}


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["entrypoint"])
def test_every_form_says_what_it_asks(deployment: dict[str, Any]) -> None:
    """Each field of each deployment's form, those of its nested configs too, has a type and a sentence."""
    path, _, function = deployment["entrypoint"].partition(":")
    flow = load_flow_from_entrypoint(f"ctllm.flows.{Path(path).stem}:{function}", use_placeholder_flow=False)
    schema = parameter_schema(flow).model_dump()
    forms = [schema["properties"], *(each.get("properties", {}) for each in schema["definitions"].values())]
    for name, field in (pair for form in forms for pair in form.items()):
        if "$ref" not in field and "allOf" not in field:
            assert field.get("description"), name
            assert field.get("type") or field.get("anyOf") or field.get("enum"), name


def test_trigger_facing_parameters_are_flat() -> None:
    """A parameter of a single stage is a plain string, so that a trigger can fill it from an event."""
    assert {each["type"] for each in parameter_schema(export).properties.values()} == {"string"}
