"""Every constraint of botocore's models, broken once by itself: the requests that do, and what each service says of it.

What is expected comes from botocore's model and from answers recorded from AWS, of which `SERVICES` has what the model
does not say. Nothing here asks lambkin what it takes. `test_constraints.py` sends it.
"""

import typing

import modelled
from modelled import sample

# lambkin repeats no more characters of a value.
LONGEST = 16_000
NOT_TEXTS = (" ", "a b", "é!", "%", "☃", "\x01", "!", "a\nb", "~" * 20, " " * 45, "&" * 70, ":a")
NUMBERS = ("integer", "long", "double", "float")
# A key of a map on the way, where the model does not say which.
KEY = "sample"


class Broken(typing.NamedTuple):
    """A constraint that is broken: by the value at a place, or by what a list or map there holds."""

    place: tuple  # Members by name, items of lists by 0, values of maps by ("key", …).
    shape: object
    value: object
    what: str  # null, enum, pattern, max, min, members, keys or values
    facts: dict


class Case(typing.NamedTuple):
    place: tuple
    location: str
    value: object  # None: nothing.
    broken: list
    member: object


class Said(typing.NamedTuple):
    """A refusal: where a message is None the words are nowhere recorded, and only name the place."""

    status: int
    code: str
    message: str | None


def facts(shape, recorded, where=None):
    own = {key: shape.metadata[key] for key in ("min", "max", "pattern") if key in shape.metadata}
    # A limit that the model writes as a fraction is a whole number of the member's.
    return {**own, "enum": list(getattr(shape, "enum", ())), **recorded.get(shape.name, {}), **recorded.get(where, {})}


def breaks(shape, value, known):
    """The constraints that a value breaks by itself."""
    found = []
    if isinstance(value, str):
        found += ["enum"] * bool(known["enum"] and value not in known["enum"])
        found += ["pattern"] * ("pattern" in known and not modelled.matches(known["pattern"], value))
    if not isinstance(value, bytes):
        size = value if isinstance(value, (int, float)) else len(value)
        found += ["max"] * (size > known.get("max", size)) + ["min"] * (size < known.get("min", size))
    return found


def bad(shape, known):
    """Values that break a constraint of the shape: one for each."""
    kind, low, high = shape.type_name, known.get("min"), known.get("max")
    if kind in NUMBERS:
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


def cases(operation, recorded, shape=None, place=(), top=None):
    """Each constraint of the input and of what it holds, broken once."""
    shape = shape or operation.input_shape
    for name, member in shape.members.items():
        location = top or member.serialization.get("location", "body")
        payload = not place and name == operation.input_shape.serialization.get("payload")
        if payload or member.type_name == "blob" or location == "headers":
            continue
        here = (*place, name)
        if name in shape.required_members and location != "uri":
            yield Case(here, location, None, [Broken(here, member, None, "null", {})], f"{shape.name}.{name}")
        known = facts(member, recorded, None if place else f"{operation.name}.{name}")
        yield from of(operation, recorded, member, known, here, location, f"{shape.name}.{name}")


def of(operation, recorded, shape, known, here, location, member):
    """The cases of one value and what it holds."""

    def case(value, *broken):
        return Case(here, location, value, list(broken), member)

    for value in bad(shape, known):
        yield case(value, *(Broken(here, shape, value, what, known) for what in breaks(shape, value, known)))
    if shape.type_name == "structure":
        yield from cases(operation, recorded, shape, here, location)
    if shape.type_name == "list":
        if shape.member.type_name == "structure":
            yield from cases(operation, recorded, shape.member, (*here, 0), location)
        else:
            inner = facts(shape.member, recorded)
            for value in bad(shape.member, inner):
                yield case([value], Broken(here, shape, [value], "members", inner))
    if shape.type_name == "map":
        inner = facts(shape.key, recorded)
        simple = shape.value.type_name in ("string", "integer", "double")
        for value in bad(shape.key, inner):
            if simple:
                given = filled(shape, {value: sample(shape.value)})
                yield case(given, Broken(here, shape, given, "keys", inner))
        inner = facts(shape.value, recorded)
        for value in bad(shape.value, inner) if simple else ():
            given = filled(shape, {sample(shape.key): value})
            yield case(given, Broken(here, shape, given, "values", inner))
        if shape.value.type_name == "structure":
            key = sample(shape.key) if shape.key.enum else KEY
            yield from cases(operation, recorded, shape.value, (*here, ("key", key)), location)


def filled(shape, entries):
    """A map with as many entries as it must have."""
    more = (f"more{number}" for number in range(shape.metadata.get("min", 1) - len(entries)))
    return {**entries, **{key: sample(shape.value) for key in more}}


def sayable(protocol, case, operation):
    """Whether a request of the protocol can say so."""
    value, location = case.value, case.location
    if location == "uri" and not value:
        return False  # Another path.
    if location == "header" and not (value and str(value).strip() and str(value).isascii()):
        return False  # HTTP leaves nothing of it.
    if isinstance(value, list) and not value and location != "body":
        return False
    if protocol == "query":
        # botocore's model of SQS no longer says how lists and maps are written.
        flat = operation.service_model.service_name == "sqs" and (isinstance(value, (dict, list)) or len(case.place) > 1)
        if flat or (isinstance(value, dict) and not value):
            return False  # Nothing is said of an empty map.
    return True


def spoken(shape, value):
    """The input without structures that have no members: the Query protocol says nothing of them."""
    if isinstance(value, dict) and shape.type_name == "structure":
        value = {name: spoken(shape.members[name], each) for name, each in value.items()}
        others = [name for name, member in shape.members.items() if name not in shape.required_members and member.type_name == "string"]
        return value or {name: sample(shape.members[name]) for name in others[:1]}
    if isinstance(value, list) and shape.type_name == "list":
        return [spoken(shape.member, each) for each in value]
    if isinstance(value, dict) and shape.type_name == "map":
        return {key: spoken(shape.value, each) for key, each in value.items()}
    return value


def placed(shape, place, value, given=None):
    """The smallest valid input, with a value put at a place; None takes it away."""
    first, *rest = place
    if isinstance(first, tuple):
        return {first[1]: placed(shape.value, rest, value)}
    if first == 0:
        return [placed(shape.member, rest, value)]
    given = dict(sample(shape) if given is None else given)
    if rest:
        given[first] = placed(shape.members[first], rest, value, given.get(first) if shape.members[first].type_name == "structure" else None)
    elif value is None:
        given.pop(first, None)
    else:
        given[first] = value
    return given


# The grammar of most services.


def bound(shape, side, number):
    what = "value" if shape.type_name in NUMBERS else "length"
    number = float(number) if shape.type_name in ("double", "float") else int(number)
    return f"Member must have {what} {side} than or equal to {number}"


def coral_constraint(shape, what, known):
    return {
        "null": lambda: "Member must not be null",
        "enum": lambda: f"Member must satisfy enum value set: [{', '.join(known['enum'])}]",
        "pattern": lambda: f"Member must satisfy regular expression pattern: {known['pattern']}",
        "max": lambda: bound(shape, "less", known["max"]),
        "min": lambda: bound(shape, "greater", known["min"]),
    }[what]()


def every(shape, known):
    """All constraints of a shape, as they are said of what lists and maps hold."""
    has = {"max": "max" in known, "min": "min" in known, "enum": known["enum"], "pattern": "pattern" in known, "null": True}
    return f"[{', '.join(coral_constraint(shape, what, known) for what in has if has[what])}]"


def shown(shape, value):
    if value is None:
        return "Value null"
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


def coral_place(place):
    steps = [f"{step[1]}.member" if isinstance(step, tuple) else "1.member" if step == 0 else step[0].lower() + step[1:] for step in place]
    return ".".join(steps)


HOLDS = {"members": ("Member", "member"), "keys": ("Map keys", "key"), "values": ("Map value", "value")}


def coral(code):
    def refusal(operation, case):
        lines = []
        for place, shape, value, what, known in case.broken:
            if what in HOLDS:
                subject, part = HOLDS[what]
                said = f"{subject} must satisfy constraint: {every(getattr(shape, part), known)}"
            else:
                said = coral_constraint(shape, what, known)
            lines.append(f"{shown(shape, value)} at '{coral_place(place)}' failed to satisfy constraint: {said}")
        count = "1 validation error" if len(lines) == 1 else f"{len(lines)} validation errors"
        return Said(400, code, f"{count} detected: {'; '.join(lines)}")

    return refusal


# CloudWatch's, a line for each violation. Recorded: `is required` of what is missing and of what is empty
# (sj26/sidekiq-cloudwatchmetrics 42, awslabs/cloudwatch-fluent-metrics 13), `must be shorter than`
# (aws/amazon-cloudwatch-agent 240), `must not have a size greater than` and `must be a value in the set`
# (micrometer-metrics/micrometer 1645, awslabs/collectd-cloudwatch 46), `The value AWS/ for parameter Namespace is invalid.`


def cloudwatch_place(place):
    return ".".join("member.1" if step == 0 else step for step in place)


def cloudwatch_line(place, shape, value, what, known, required):
    """(what is wrong is that it is missing, the words where they are recorded)"""
    empty = what == "min" and not isinstance(value, (int, float)) and not value
    if what == "null" or (empty and (required or shape.type_name in ("list", "map"))):
        return True, f"The parameter {place} is required."
    if shape.type_name in ("list", "map") and what == "max":
        return False, f"The collection {place} must not have a size greater than {known['max']}."
    if shape.type_name == "string" and what == "max":
        return False, f"The parameter {place} must be shorter than {known['max'] + 1} characters."
    if what == "enum":
        return False, f"The parameter {place} must be a value in the set [ {', '.join(known['enum'])} ]."
    if what == "pattern":
        return False, f"The value {value} for parameter {place} is invalid."
    return False, None


def cloudwatch(operation, case):
    lines = []
    for place, shape, value, what, known in case.broken:
        where = cloudwatch_place(place)
        if what == "members":
            inner = value[0]
            lines += [cloudwatch_line(f"{where}.member.1", shape.member, inner, each, known, True) for each in breaks(shape.member, inner, known)]
        elif what in HOLDS:
            part, inner = (shape.key, list(value)[0]) if what == "keys" else (shape.value, list(value.values())[0])
            name = HOLDS[what][1]
            lines += [cloudwatch_line(f"{where}.entry.1.{name}", part, inner, each, known, True) for each in breaks(part, inner, known)]
        else:
            required = case.member.split(".")[1] in requiring(operation.input_shape, place).required_members
            lines.append(cloudwatch_line(where, shape, value, what, known, required))
    missing = [line for line in lines if line[0]]
    # An operation says what its own model has a code for.
    errors = {error.name for error in operation.error_shapes}
    codes = (("MissingRequiredParameterException", "MissingParameter"),) * bool(missing) + (("InvalidParameterValueException", "InvalidParameterValue"),)
    code = next((code for name, code in codes if name in errors), "ValidationError")
    texts = [text for _, text in missing or lines]
    return Said(400, code, None if None in texts else "\n".join(texts))


def requiring(shape, place):
    """The structure whose member a place is."""
    for step in place[:-1]:
        shape = shape.value if isinstance(step, tuple) else shape.member if step == 0 else shape.members[step]
    return shape


# SQS's: its model only says what must be there, and what attributes are called.

# How the Query protocol, and so each message, calls the items of a list (recorded with SQS's older model).
SQS_ITEMS = {"SendMessageBatch": "SendMessageBatchRequestEntry", "DeleteMessageBatch": "DeleteMessageBatchRequestEntry",
             "ChangeMessageVisibilityBatch": "ChangeMessageVisibilityBatchRequestEntry"}


def sqs(operation, case):
    broken = case.broken[0]
    if broken.what == "null":
        place = [step[1] if isinstance(step, tuple) else SQS_ITEMS.get(operation.name, step) if step == "Entries" else "1" if step == 0 else step for step in case.place]
        return Said(400, "MissingParameter", f"The request must contain the parameter {'.'.join(place)}.")
    name = next(iter(broken.value)) if broken.what in HOLDS else broken.value
    return Said(400, "InvalidAttributeName", f"Unknown Attribute {name}.")


class Service(typing.NamedTuple):
    protocols: tuple
    operations: list
    grammar: typing.Callable
    # Where AWS was recorded to differ from its model: {shape or Operation.Member: constraints}.
    recorded: dict = {}
    # What is refused in words of its own, and where: {(Shape.Member, what): Said}.
    own: dict = {}


LOGS = """CreateLogGroup DeleteLogGroup DescribeLogGroups ListLogGroups PutLogGroupDeletionProtection PutRetentionPolicy
DeleteRetentionPolicy TagLogGroup TagResource UntagLogGroup UntagResource CreateLogStream DeleteLogStream DescribeLogStreams
PutLogEvents GetLogEvents FilterLogEvents StartQuery GetQueryResults StopQuery DescribeQueries"""
SQS = """CreateQueue GetQueueUrl ListQueues DeleteQueue PurgeQueue GetQueueAttributes SetQueueAttributes TagQueue UntagQueue
ListQueueTags ListDeadLetterSourceQueues SendMessage SendMessageBatch ReceiveMessage DeleteMessage DeleteMessageBatch
ChangeMessageVisibility ChangeMessageVisibilityBatch StartMessageMoveTask ListMessageMoveTasks CancelMessageMoveTask"""
SNS = """CreateTopic DeleteTopic ListTopics GetTopicAttributes SetTopicAttributes Subscribe ConfirmSubscription Unsubscribe
ListSubscriptions ListSubscriptionsByTopic GetSubscriptionAttributes SetSubscriptionAttributes Publish PublishBatch TagResource
UntagResource ListTagsForResource"""
CLOUDWATCH = "PutMetricData GetMetricStatistics GetMetricData ListMetrics"
IAM = """AttachRolePolicy CreatePolicy CreatePolicyVersion CreateRole DeletePolicy DeletePolicyVersion DeleteRole
DeleteRolePolicy DetachRolePolicy GetPolicy GetPolicyVersion GetRole GetRolePolicy ListAttachedRolePolicies
ListInstanceProfilesForRole ListPolicyVersions ListRolePolicies ListRoleTags ListRoles PutRolePolicy SetDefaultPolicyVersion
TagRole UntagRole UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription"""

EMPTY_BATCH = {
    (f"{name}Request.Entries", "null"): Said(400, "AWS.SimpleQueueService.EmptyBatchRequest", f"There should be at least one {entry} in the request.")
    for name, entry in SQS_ITEMS.items()
}
SERVICES = {
    "lambda": Service(
        ("rest-json",), modelled.built(), coral("ValidationException"),
        # aws-behaviour 38, 44.
        {
            "NamespacedFunctionName": {"max": 170},
            "DeleteFunction.FunctionName": {"max": 140},
            "Invoke.ClientContext": {"max": 3583},
            "Runtime": {"enum": []},
        },
    ),
    "logs": Service(("json",), LOGS.split(), coral("InvalidParameterException")),
    "sqs": Service(
        ("json", "query"), SQS.split(), sqs,
        own={
            **EMPTY_BATCH,
            ("CreateQueueRequest.QueueName", "null"): Said(
                400, "InvalidParameterValue", "Value for parameter QueueName is invalid. Reason: Must specify a queue name."),
            **{
                (f"{shape}.DataType", "null"): Said(
                    400, "InvalidParameterValue", f"The message {kind} attribute '{key}' must contain a non-empty message attribute type.")
                for shape, kind, key in (("MessageAttributeValue", "(user)", KEY), ("MessageSystemAttributeValue", "system", "AWSTraceHeader"))
            },
        },
    ),
    "sns": Service(
        ("query",), SNS.split(), coral("ValidationError"),
        # Recorded: neither need be there; so it is the name that is wrong.
        own={
            (f"{shape}.{member}", "null"): Said(400, "InvalidParameter", "Invalid parameter: ResourceArn Reason: An ARN must have at least 6 elements, not 1")
            for shape, member in (("TagResourceRequest", "Tags"), ("UntagResourceRequest", "TagKeys"))
        },
    ),
    "cloudwatch": Service(("json", "smithy-rpc-v2-cbor", "query"), CLOUDWATCH.split(), cloudwatch),
    "iam": Service(("query",), IAM.split(), coral("ValidationError")),
}
