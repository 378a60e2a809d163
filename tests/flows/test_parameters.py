"""Parameters of flows as the form shows them."""

from prefect.utilities.callables import parameter_schema

from ctllm.flows.stages import curate, export


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


def test_trigger_facing_parameters_are_flat() -> None:
    """A parameter of a single stage is a plain string, so that a trigger can fill it from an event."""
    assert {each["type"] for each in parameter_schema(export).properties.values()} == {"string"}
