import json

import pytest
import yaml

from penstock.settings import shipped_policies

FILES = "budget cache chain ephemeral experiment feedback identify models redaction routing tenants upstreams"
NAMES = {f"{name}.schema.json" for name in FILES.split()}
KEYWORDS = set("$schema $defs title description type properties additionalProperties required".split())


def test_all_schemas_on_stdout(run):
    told = run("schema")
    assert (told.code, told.err) == (0, "")
    assert json.loads(told.out).keys() == NAMES


def test_a_folder_of_schemas(run, tmp_path):
    told = run("schema", "made/here")
    assert (told.code, told.out) == (0, "")
    assert told.err == "12 schemas in made/here\n"
    files = {path.name: json.loads(path.read_text()) for path in (tmp_path / "made/here").iterdir()}
    assert files == json.loads(run("schema").out)


def test_a_folder_that_cannot_be(run, tmp_path):
    (tmp_path / "taken").write_text("mine")
    told = run("schema", "taken")
    assert (told.code, told.out, told.err) == (2, "", "taken: File exists\n")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_schema_refuses_what_it_does_not_know_and_describes_every_key(run):
    for schema in json.loads(run("schema").out).values():
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema.keys() <= KEYWORDS
        for part in [schema, *schema.get("$defs", {}).values()]:
            if part.get("type") == "object":
                assert part["additionalProperties"] is False
                assert all("description" in value for value in part["properties"].values())


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_shipped_policies_are_what_their_schemas_allow(run, name):
    schema = json.loads(run("schema").out)[name]
    text = (shipped_policies() / name.replace(".schema.json", ".yaml")).read_text()
    assert problems(schema, yaml.safe_load(text), schema.get("$defs", {})) == []
    assert problems(schema, {"nonsense": 1}, schema.get("$defs", {})) != []


def problems(schema, value, definitions):
    """Check the part of JSON Schema that says which keys may stand where, and of which type they are."""
    if "$ref" in schema:
        return problems(definitions[schema["$ref"].rpartition("/")[2]], value, definitions)
    if isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        found = [key for key in schema.get("required", ()) if key not in value]
        for key, inner in value.items():
            if key in known:
                found += problems(known[key], inner, definitions)
            elif rest is False:
                found.append(key)
            elif isinstance(rest, dict):
                found += problems(rest, inner, definitions)
        return found
    kinds = {"string": str, "number": int | float, "integer": int, "boolean": bool, "array": list}
    kind = kinds.get(schema.get("type", ""))
    wrong = (kind is not None and not isinstance(value, kind)) or value not in schema.get("enum", [value])
    return [f"{value!r} in {schema}"] if wrong else []
