"""Every constraint of botocore's models, broken once by itself in every built operation: what AWS's grammar says of it
(aws-behaviour 4, 37 to 45). What is expected comes from botocore's model and the recordings; but how a value of a wrong type is
refused, and the order of violations within a list, are nowhere recorded and only held to what lambkin says.
"""

import copy
import json

import pytest

import modelled
from modelled import Wire, error, request, sample

# Recorded from AWS where its published model differs: {shape or Operation.Member: constraints} (aws-behaviour 38, 44).
RECORDED = {
    "NamespacedFunctionName": {"max": 170},
    "DeleteFunction.FunctionName": {"max": 140},
    "Invoke.ClientContext": {"max": 3583},
    "Runtime": {"enum": []},
}
# lambkin repeats no more characters of a value.
LONGEST = 16_000
# Whose operations are all built is asked of lambkin's README for Lambda, and listed for the others.
LOGS = """CreateLogGroup DeleteLogGroup DescribeLogGroups ListLogGroups PutLogGroupDeletionProtection PutRetentionPolicy
DeleteRetentionPolicy TagLogGroup TagResource UntagLogGroup UntagResource CreateLogStream DeleteLogStream DescribeLogStreams
PutLogEvents GetLogEvents FilterLogEvents StartQuery GetQueryResults StopQuery DescribeQueries""".split()
OPERATIONS = [("lambda", name) for name in modelled.built()] + [("logs", name) for name in LOGS]
INVALID = {"lambda": "ValidationException", "logs": "InvalidParameterException"}
NOT_TEXTS = (" ", "a b", "é!", "%", "\x01", "!", "a\nb", "~" * 20, " " * 45, "&" * 70)


def facts(shape, where=None):
    own = {key: shape.metadata[key] for key in ("min", "max", "pattern") if key in shape.metadata}
    # A limit that the model writes as a fraction is a whole number of the member's.
    return {**own, "enum": list(getattr(shape, "enum", ())), **RECORDED.get(shape.name, {}), **RECORDED.get(where, {})}


def bound(shape, side, number):
    what = "value" if shape.type_name in ("integer", "long", "double", "float") else "length"
    number = float(number) if shape.type_name in ("double", "float") else int(number)
    return f"Member must have {what} {side} than or equal to {number}"


def broken(shape, value, where=None):
    """The constraints that a value breaks by itself."""
    known, found = facts(shape, where), set()
    if isinstance(value, str):
        if known["enum"] and value not in known["enum"]:
            found.add(f"Member must satisfy enum value set: [{', '.join(known['enum'])}]")
        if "pattern" in known and not modelled.matches(known["pattern"], value):
            found.add(f"Member must satisfy regular expression pattern: {known['pattern']}")
    if not isinstance(value, bytes):
        size = value if isinstance(value, (int, float)) else len(value)
        if size > known.get("max", size):
            found.add(bound(shape, "less", known["max"]))
        if size < known.get("min", size):
            found.add(bound(shape, "greater", known["min"]))
    return found


def every(shape):
    """All constraints of a shape, as they are said of what lists and maps hold."""
    known = facts(shape)
    all_of_it = [bound(shape, side, known[key]) for key, side in (("max", "less"), ("min", "greater")) if key in known]
    if known["enum"]:
        all_of_it.append(f"Member must satisfy enum value set: [{', '.join(known['enum'])}]")
    if "pattern" in known:
        all_of_it.append(f"Member must satisfy regular expression pattern: {known['pattern']}")
    return f"[{', '.join([*all_of_it, 'Member must not be null'])}]"


def shown(shape, value):
    if shape.metadata.get("sensitive"):
        return "Value"
    if shape.type_name == "map" and shape.value.type_name in ("double", "float"):
        value = {key: float(item) for key, item in value.items()}
    return f"Value '{java(value)}'"


def java(value):
    """As Java prints it."""
    if isinstance(value, list):
        return f"[{', '.join(java(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}={java(item)}' for key, item in value.items())}}}"
    return str(value)


def said(shape, where, value, *more):
    """The violations of a value at a place, and those of what it holds."""
    return [f"{shown(shape, value)} at '{where}' failed to satisfy constraint: {what}" for what in (*broken(shape, value), *more)]


def bad(shape, where=None):
    """Values that break a constraint of the shape: one for each."""
    known, kind = facts(shape, where), shape.type_name
    low, high = known.get("min"), known.get("max")
    if kind in ("integer", "long", "double", "float"):
        return [int(number) for number in (low is not None and low - 1, high is not None and high < 2**53 and high + 1) if number is not False]
    if kind == "string":
        texts = ["NO-SUCH-VALUE"] if known["enum"] else []
        texts += [text for text in NOT_TEXTS if "pattern" in known and not modelled.matches(known["pattern"], text)][:1]
        texts += ["a" * (high + 1)] if high is not None and high < LONGEST else []
        return texts + (["a" * (low - 1)] if low else [])
    if kind == "list":
        lists = [[sample(shape.member)] * (high + 1)] if high is not None and high < 1000 else []
        return lists + ([[]] if low else [])
    if kind == "map":
        maps = [{}] if low else []
        if high is not None and high < 1000 and shape.key.type_name == "string" and not shape.key.enum:
            keys = [f"key{n}" for n in range(high + 1)]
            maps += [{key: sample(shape.value) for key in keys}] if all(modelled.allowed(shape.key, key) for key in keys) else []
        return maps
    return []


def cases(operation, shape=None, path="", steps=(), top=None):
    """(steps to the member, location, what is put there, violations) for each constraint of the input and what it holds."""
    shape = shape or operation.input_shape
    for name, member in shape.members.items():
        location = top or member.serialization.get("location", "body")
        payload = not path and name == operation.input_shape.serialization.get("payload")
        if payload or member.type_name == "blob" or location == "headers":
            continue
        where = path + ("." if path else "") + name[0].lower() + name[1:]
        here = (*steps, name)
        if name in shape.required_members and location != "uri":
            yield here, location, None, [f"Value null at '{where}' failed to satisfy constraint: Member must not be null"]
        key = f"{operation.name}.{name}" if not path else None
        for value in bad(member, key):
            if location == "uri" and not value:
                continue  # Another path.
            if location == "header" and not (value.strip() and value.isascii()):
                continue  # HTTP leaves nothing of it.
            if member.type_name == "list" and not value and location != "body":
                continue  # No request says so.
            yield here, location, value, [f"{shown(member, value)} at '{where}' failed to satisfy constraint: {what}" for what in broken(member, value, key)]
        if member.type_name == "list" and member.member.type_name != "structure":
            for value in bad(member.member):
                yield here, location, [value], said(member, where, [value], f"Member must satisfy constraint: {every(member.member)}")
        if member.type_name == "map":
            for value in bad(member.key):
                given = {value: sample(member.value)}
                if member.value.type_name in ("string", "integer", "double"):
                    yield here, location, given, said(member, where, given, f"Map keys must satisfy constraint: {every(member.key)}")
            if member.value.type_name in ("string", "integer", "double"):
                for value in bad(member.value):
                    given = {sample(member.key): value}
                    yield here, location, given, said(member, where, given, f"Map value must satisfy constraint: {every(member.value)}")
        if member.type_name == "structure":
            yield from cases(operation, member, where, here, location)
        if member.type_name == "list" and member.member.type_name == "structure":
            yield from cases(operation, member.member, f"{where}.1.member", (*here, 0), location)


def placed(operation, steps, value):
    """The smallest valid input, with a value put where the steps lead; None takes it away."""
    given = sample(operation.input_shape)
    at, shape = given, operation.input_shape
    for step in steps[:-1]:
        shape = shape.member if step == 0 else shape.members[step]
        if step == 0:
            at = at[0]
        else:
            at = at.setdefault(step, copy.deepcopy(sample(shape)))
    if value is None:
        at.pop(steps[-1], None)
    else:
        at[steps[-1]] = value
    return given


@pytest.fixture(scope="module")
def wire(shared):
    return Wire(shared.endpoint)


def violations(message):
    """A message's grammar, taken apart: their number as it is said, and each in any order."""
    first, _, rest = message.partition(" detected: ")
    return first, sorted(rest.split("; "))


@pytest.mark.parametrize(("service", "name"), OPERATIONS, ids=lambda value: value)
def test_each_constraint_is_watched(wire, service, name):
    operation = modelled.service(service).operation_model(name)
    if operation.input_shape is None:
        return
    differ = []
    for steps, location, value, expected in cases(operation):
        count = "1 validation error" if len(expected) == 1 else f"{len(expected)} validation errors"
        wanted = (400, INVALID[service], violations(f"{count} detected: {'; '.join(expected)}"))
        status, headers, body = wire.send(*request(operation, placed(operation, steps, value)))
        code, message = error(headers, body) if status >= 400 else (None, "")
        if (status, code, violations(message or "")) != wanted:
            differ.append(f"{'.'.join(map(str, steps))} = {value!r:.80}: {status} {code} {message!r:.600}\n  not {wanted!r:.600}")
    assert not differ, "\n".join(differ)


# What is no value of a type, and how AWS's reader of JSON says so.
WRONG = {
    "string": (7, "NUMBER_VALUE can not be converted to a String"),
    "integer": ("seven", "STRING_VALUE can not be converted to an Integer"),
    "boolean": ("yes", "STRING_VALUE can not be converted to a Boolean"),
    "list": ("no list", "Expected list or null"),
    "map": ("no map", "Expected map or null"),
    "structure": ("no structure", "Expected structure or null"),
}


def wrong(shape, steps=()):
    """(steps to it, a value that is none of its type, what is said of it) for all that a shape holds."""
    for name, inner in shape.members.items():
        if not steps and "location" in inner.serialization:
            continue
        here = (*steps, inner.serialization.get("name", name))
        while True:
            if inner.type_name in WRONG:
                yield here, *WRONG[inner.type_name]
            if inner.type_name == "structure" and len(steps) < 4:
                yield from wrong(inner, here)
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


@pytest.mark.parametrize("name", modelled.built())
def test_a_wrong_type_cannot_be_read(wire, name):
    operation = modelled.service("lambda").operation_model(name)
    shape = operation.input_shape
    if shape is None or shape.serialization.get("payload"):
        return
    differ = []
    method, path, headers, body = request(operation, sample(shape))
    for steps, value, wanted in wrong(shape):
        document = put(steps, value, json.loads(body or b"{}"))
        status, said, answer = wire.send(method, path, headers, json.dumps(document).encode())
        if (status, *error(said, answer)) != (400, "SerializationException", wanted):
            differ.append(f"{'.'.join(map(str, steps))}: {status} {answer[:300]!r} not {wanted}")
    assert not differ, "\n".join(differ)
