"""Checks an answer against the output shape of botocore's model, more strictly than botocore's parser does: a member
the model does not have, a wrong type, a value outside an enum or a pattern, a required member that is missing.
"""

import datetime
import io
import json
import re
import xml.etree.ElementTree as ElementTree

import botocore.parsers

KINDS = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "double": (int, float),
    "float": (int, float),
    "timestamp": datetime.datetime,
    "blob": (bytes, io.IOBase),
}

# What AWS was recorded to say although its own model does not have it (aws-behaviour 32).
RECORDED = {("LastUpdateStatusReasonCode", "Creating")}

# What botocore has read as JSON before anybody sees it.
DECODED = "policyDocumentType"


def python(pattern):
    """Java's classes of letters, digits and spaces in Python's words."""
    return pattern.replace(r"\p{L}", r"\w").replace(r"\p{N}", r"\d").replace(r"\p{Z}", r"\s")

# Required, of a pattern, and yet of a function that has none.
NOTHING_TO_NAME = {"GetFunctionCodeSigningConfig.CodeSigningConfigArn"}


def problems(shape, value, where):
    """What does not fit, as texts."""
    if shape.type_name == "structure":
        if shape.serialization.get("eventstream") and not isinstance(value, dict):
            return []  # Its events come later; who reads them checks each.
        if not isinstance(value, dict):
            return [f"{where} is no structure: {value!r:.100}"]
        found = [f"{where}.{name} is not in {shape.name}" for name in value.keys() - shape.members.keys()]
        missing = [f"{where}.{name}" for name in shape.required_members if name not in value]
        found += [f"{name} is required" for name in missing if name not in NOTHING_TO_NAME]
        for name, member in shape.members.items():
            if name in value:
                found += problems(member, value[name], f"{where}.{name}")
        return found
    if shape.type_name == "list":
        if not isinstance(value, list):
            return [f"{where} is no list: {value!r:.100}"]
        return [p for i, item in enumerate(value) for p in problems(shape.member, item, f"{where}[{i}]")]
    if shape.type_name == "map":
        if not isinstance(value, dict):
            return [f"{where} is no map: {value!r:.100}"]
        return [p for key, item in value.items() for p in problems(shape.value, item, f"{where}[{key}]")]
    if hasattr(value, "read") and shape.type_name == "blob":
        return []
    if shape.name == DECODED and isinstance(value, dict):
        return []
    kind = KINDS[shape.type_name]
    if not isinstance(value, kind) or (isinstance(value, bool) and shape.type_name != "boolean"):
        return [f"{where} is no {shape.type_name}: {value!r:.100}"]
    if shape.type_name == "string":
        if shape.enum and value not in shape.enum and (shape.name, value) not in RECORDED:
            return [f"{where} is none of {shape.name}: {value!r}"]
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(python(pattern), value):
            return [f"{where} does not match {shape.name}: {value!r}"]
    return []


def install(client):
    """Makes every answer that `client` gets subject to the check. Raw bodies are looked at too: botocore drops what
    its model does not know before anyone sees it."""
    model = client.meta.service_model
    raw = RAW[model.resolved_protocol]

    def parsed(http_response, parsed, model, **_):
        if "Error" in parsed:
            return
        answer = {key: value for key, value in parsed.items() if key != "ResponseMetadata"}
        shape = model.output_shape
        if shape is None:
            assert not answer, f"{model.name} answers nothing: {answer}"
            return
        found = problems(shape, answer, model.name)
        if not shape.serialization.get("payload") and http_response.content:
            found += raw(shape, http_response.content, model.name)
        assert not found, "\n".join(found)

    client.meta.events.register(f"after-call.{model.service_id.hyphenize()}", parsed)
    return model


def unknown(shape, body, where):
    """Members of the raw body that the model does not know."""
    if shape.type_name == "structure" and isinstance(body, dict):
        names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        found = [f"{where}.{name} is on the wire and not in {shape.name}" for name in body.keys() - names.keys()]
        return found + [p for n, m in names.items() if n in body for p in unknown(m, body[n], f"{where}.{n}")]
    if shape.type_name == "list" and isinstance(body, list):
        return [p for item in body for p in unknown(shape.member, item, f"{where}[]")]
    return []


def unknown_json(shape, text, where):
    return unknown(shape, json.loads(text), where)


def unknown_cbor(shape, text, where):
    parser = botocore.parsers.create_parser("smithy-rpc-v2-cbor")
    return unknown(shape, parser.parse_data_item(parser.get_peekable_stream_from_bytes(text)), where)


def unknown_xml(shape, text, where):
    """The same of the Query protocol's documents: the result stands beside the request's id."""
    root = ElementTree.fromstring(text)
    wrapper = shape.serialization.get("resultWrapper")
    beside = [tag(each) for each in root]
    if sorted(beside) != sorted({"ResponseMetadata", wrapper} - {None}):
        return [f"{where}: {beside} are on the wire, not ResponseMetadata and {wrapper}"]
    return elements(shape, next(each for each in root if tag(each) == wrapper), where)


def tag(element):
    return element.tag.rpartition("}")[2]


def elements(shape, element, where):
    """What an element has that its shape does not."""

    def named(*names):
        return [f"{where}.{tag(each)} is on the wire, not {' or '.join(names)}" for each in element if tag(each) not in names]

    if shape.type_name == "structure":
        names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        return named(*names) + [p for each in element if tag(each) in names for p in elements(names[tag(each)], each, f"{where}.{tag(each)}")]
    if shape.type_name == "list":
        name = shape.member.serialization.get("name", "member")
        return named(name) + [p for each in element for p in elements(shape.member, each, f"{where}[]")]
    if shape.type_name == "map":
        found = named("entry")
        key, value = shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")
        for entry in element:
            tags = [tag(each) for each in entry]
            if tags != [key, value]:
                found.append(f"{where} has an entry of {tags}, not {key} and {value}")
            else:
                found += elements(shape.value, entry[1], f"{where}[]")
        return found
    return [f"{where} is a {shape.type_name} and has {tag(each)}" for each in element]


RAW = {"rest-json": unknown_json, "json": unknown_json, "smithy-rpc-v2-cbor": unknown_cbor, "query": unknown_xml}
