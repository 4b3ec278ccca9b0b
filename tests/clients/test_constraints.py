"""Every constraint of botocore's models, broken once by itself in every operation that is built, in every protocol: what
AWS says of it (aws-behaviour 4, 37 to 45; `constraints.py` names the other recordings). How a value of a wrong type is
refused is nowhere recorded for other services than Lambda, and only held to what lambkin says.
"""

import json

import botocore.parsers
import pytest

import aws_client
import constraints
import modelled
from constraints import SERVICES, Said
from modelled import Wire, request, sample

BUILT = [(service, protocol, name) for service, facts in SERVICES.items() for protocol in facts.protocols for name in facts.operations]


@pytest.fixture(scope="module")
def wire(shared):
    aws_client.client("sqs", shared.endpoint).create_queue(QueueName=sample(modelled.service("sqs").shape_for("String")))
    return Wire(shared.endpoint)


def refusal(operation, protocol, answer):
    """(status, code, message) as botocore reads them, also where it is one of a batch's; no code where there is none."""
    status, headers, body = answer
    parsed = botocore.parsers.create_parser(protocol).parse({"status_code": status, "headers": headers, "body": body}, operation.output_shape)
    if status == 200 and len(parsed.get("Failed", ())) == 1:
        failed = parsed["Failed"][0]
        return Said(400 if failed["SenderFault"] else 500, failed["Code"], failed["Message"])
    error = parsed.get("Error", {}) if status >= 400 else {}
    return Said(status, error.get("Code"), error.get("Message", ""))


def taken_apart(message):
    """A message's violations in any order, after their number."""
    first, found, rest = message.partition(" detected: ")
    return (first, sorted(rest.split("; "))) if found else sorted(message.split("\n"))


def agrees(said, wanted, case):
    if (said.status, said.code) != (wanted.status, wanted.code):
        return False
    return case.place[-1] in said.message if wanted.message is None else taken_apart(said.message) == taken_apart(wanted.message)


@pytest.mark.parametrize(("service", "protocol", "name"), BUILT)
def test_each_constraint_is_watched(wire, service, protocol, name):
    operation, facts = modelled.service(service).operation_model(name), SERVICES[service]
    if operation.input_shape is None:
        return
    differ = []
    for case in constraints.cases(operation, facts.recorded):
        if not constraints.sayable(protocol, case, operation):
            continue
        wanted = facts.own.get((case.member, case.broken[0].what)) or facts.grammar(operation, case)
        given = constraints.placed(operation.input_shape, case.place, case.value)
        given = constraints.spoken(operation.input_shape, given) if protocol == "query" else given
        said = refusal(operation, protocol, wire.send(*request(operation, given, protocol)))
        if not agrees(said, wanted, case):
            differ.append(f"{case.place} = {case.value!r:.80}: {said!r:.600}\n  not {wanted!r:.600}")
    assert not differ, "\n".join(differ)


# What is no value of a type, and how AWS's reader of JSON says so.
WRONG = {
    "string": ({}, "Start of structure or map found where not expected."),
    "integer": ("seven", "STRING_VALUE can not be converted to an Integer"),
    "boolean": ("yes", "STRING_VALUE can not be converted to a Boolean"),
    "list": ("no list", "Expected list or null"),
    "map": ("no map", "Expected map or null"),
    "structure": ("no structure", "Expected structure or null"),
}
# Lambda's alone makes no text of a number.
STRICT = {**WRONG, "string": (7, "NUMBER_VALUE can not be converted to a String")}
# Services that once spoke Query go by its code.
READERS = {"lambda": (STRICT, "SerializationException"), "logs": (WRONG, "SerializationException"), "sqs": (WRONG, "MalformedInput"), "cloudwatch": (WRONG, "MalformedInput")}
READ = [(service, name) for service in READERS for name in SERVICES[service].operations]


def wrong(shape, types, steps=()):
    """(steps to it, a value that is none of its type, what is said of it) for all that a shape holds."""
    for name, inner in shape.members.items():
        # lambkin's model leaves out what is deprecated.
        if (not steps and "location" in inner.serialization) or shape._shape_model["members"][name].get("deprecated"):
            continue
        here = (*steps, inner.serialization.get("name", name))
        while True:
            if inner.type_name in types:
                yield here, *types[inner.type_name]
            if inner.type_name == "structure" and len(steps) < 4:
                yield from wrong(inner, types, here)
            if inner.type_name == "list":
                here, inner = (*here, 0), inner.member
            elif inner.type_name == "map":
                here, inner = (*here, sample(inner.key)), inner.value
            else:
                break


def put(steps, value, given):
    """The document with a value put there; what is missing on the way is made."""
    first, *rest = steps
    if first == 0:
        return [put(rest, value, {}) if rest else value]
    given = given if isinstance(given, dict) else {}
    return {**given, first: put(rest, value, given.get(first)) if rest else value}


@pytest.mark.parametrize(("service", "name"), READ)
def test_a_wrong_type_cannot_be_read(wire, service, name):
    operation = modelled.service(service).operation_model(name)
    shape = operation.input_shape
    if shape is None or shape.serialization.get("payload"):
        return
    differ, (types, code), protocol = [], READERS[service], SERVICES[service].protocols[0]
    method, path, headers, body = request(operation, sample(shape), protocol)
    for steps, value, message in wrong(shape, types):
        document = put(steps, value, json.loads(body or b"{}"))
        said = refusal(operation, protocol, wire.send(method, path, headers, json.dumps(document).encode()))
        if said != (400, code, message):
            differ.append(f"{'.'.join(map(str, steps))}: {said!r:.300} not {message}")
    assert not differ, "\n".join(differ)


# Texts that are none of a type.
TYPED = {"integer": "seven", "long": "seven", "boolean": "yes", "double": "high", "timestamp": "noon"}


@pytest.mark.parametrize(("service", "name"), [(service, name) for service, protocol, name in BUILT if protocol == "query"])
def test_a_text_that_is_none_of_its_type_cannot_be_read(wire, service, name):
    operation = modelled.service(service).operation_model(name)
    differ = []
    for member, shape in (operation.input_shape.members if operation.input_shape else {}).items():
        if shape.type_name not in TYPED:
            continue
        given = {name: value for name, value in sample(operation.input_shape).items() if name != member}
        method, path, headers, body = request(operation, given, "query")
        named = shape.serialization.get("name", member)
        said = refusal(operation, "query", wire.send(method, path, headers, body + f"&{named}={TYPED[shape.type_name]}".encode()))
        if (said.status, said.code) != (400, "MalformedInput") or named not in said.message:
            differ.append(f"{named}: {said!r:.300}")
    assert not differ, "\n".join(differ)
