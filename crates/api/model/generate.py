#!/usr/bin/env python3
"""Writes cloudwatch.json, iam.json, lambda.json, logs.json, sqs.json, sns.json and sts.json: the facts of AWS's service models that
routing, validation, the protocols and the coverage table need, out of an installed botocore. No documentation text is taken over.

    python3 generate.py PATH/TO/site-packages/botocore lambda > lambda.json

One operation, error and shape per line, so that a newer botocore gives a readable diff. What a service
was recorded to do otherwise stands in *-recorded.json and sqs-query.json, never here.
"""

import gzip
import json
import pathlib
import re
import sys

CONSTRAINTS = ("min", "max", "pattern", "enum", "sensitive")
LOCATIONS = {"uri": "uri", "header": "header", "headers": "headers", "querystring": "query"}


SERVICES = {
    "cloudwatch": "2010-08-01",
    "iam": "2010-05-08",
    "lambda": "2015-03-31",
    "logs": "2014-03-28",
    "sns": "2010-03-31",
    "sqs": "2012-11-05",
    "sts": "2011-06-15",
}

# Of a service whose larger part lambkin does not do, the operations whose shapes are kept; of the others, their names.
PARTS = {
    "cloudwatch": "GetMetricData GetMetricStatistics ListMetrics PutMetricData".split(),
    "iam": """
        AttachRolePolicy CreatePolicy CreatePolicyVersion CreateRole DeletePolicy DeletePolicyVersion DeleteRole DeleteRolePolicy
        DetachRolePolicy GetPolicy GetPolicyVersion GetRole GetRolePolicy ListAttachedRolePolicies ListInstanceProfilesForRole
        ListPolicyVersions ListRolePolicies ListRoleTags ListRoles PutRolePolicy SetDefaultPolicyVersion TagRole UntagRole
        UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription
    """.split(),
    "sns": """
        ConfirmSubscription CreateTopic DeleteTopic GetSubscriptionAttributes GetTopicAttributes ListSubscriptions
        ListSubscriptionsByTopic ListTagsForResource ListTopics Publish PublishBatch SetSubscriptionAttributes SetTopicAttributes
        Subscribe TagResource Unsubscribe UntagResource
    """.split(),
}


def load(botocore, service):
    path = botocore / "data" / service / SERVICES[service] / "service-2.json"
    if path.exists():
        return json.loads(path.read_bytes())
    return json.loads(gzip.decompress(path.with_suffix(".json.gz").read_bytes()))


def version(botocore):
    return re.search(r"__version__ = '([^']+)'", (botocore / "__init__.py").read_text()).group(1)


def fact(name, shape):
    out = {"name": name, "type": shape["type"]}
    out.update({key: shape[key] for key in CONSTRAINTS if key in shape})
    if shape["type"] == "list":
        out["member"] = shape["member"]["shape"]
        wires(out, shape, ("member",))
    if shape["type"] == "map":
        out["key"], out["value"] = shape["key"]["shape"], shape["value"]["shape"]
        wires(out, shape, ("key", "value"))
    if shape["type"] == "structure":
        out["members"] = [
            member(each, facts, shape)
            for each, facts in shape["members"].items()
            # SQS's deprecated AttributeNames is what most clients send.
            if not facts.get("deprecated") or each == "AttributeNames"
        ]
    return out


def wires(out, shape, parts):
    """The names that the Query protocol gives to what a list or map has, and whether it stands without one around."""
    names = [shape[part].get("locationName") for part in parts]
    if any(names):
        out["wires"] = names
    if shape.get("flattened"):
        out["flat"] = True


def member(name, facts, shape):
    out = {"name": name, "shape": facts["shape"]}
    if "location" in facts:
        out["in"] = LOCATIONS[facts["location"]]
        out["wire"] = facts.get("locationName", name)
    elif shape.get("payload") == name:
        out["in"] = "payload"
    if name in shape.get("required", ()):
        out["required"] = True
    return out


def reachable(shapes, roots):
    seen, todo = {}, list(roots)
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        shape = seen[name] = shapes[name]
        todo += [facts["shape"] for facts in shape.get("members", {}).values()]
        todo += [shape[key]["shape"] for key in ("member", "key", "value") if key in shape]
    return [fact(name, seen[name]) for name in sorted(seen)]


def operation(name, facts, protocol, kept):
    http = facts["http"]
    out = {"name": name, "method": http["method"], "uri": http["requestUri"]}
    if "responseCode" in http:
        out["status"] = http["responseCode"]
    if not kept:
        return out
    if "input" in facts:
        out["input"] = facts["input"]["shape"]
    if protocol != "rest-json" and "output" in facts:
        out["output"] = facts["output"]["shape"]
    return out


def error(name, shape):
    text = [each for each in shape["members"] if each.lower() == "message"]
    facts = shape.get("error", {})
    out = {"name": name, "status": facts.get("httpStatusCode"), "text": text[0] if text else None}
    out["fault"] = bool(shape.get("fault"))
    if "code" in facts:
        out["code"] = facts["code"]
    return out


def lines(items):
    return "[\n" + ",\n".join("  " + json.dumps(item, separators=(",", ":")) for item in items) + "\n]"


def main():
    botocore, service = pathlib.Path(sys.argv[1]), sys.argv[2]
    model = load(botocore, service)
    protocol = model["metadata"]["protocol"]
    part = PARTS.get(service, model["operations"])
    operations = [operation(name, facts, protocol, name in part) for name, facts in sorted(model["operations"].items())]
    errors = [error(name, shape) for name, shape in sorted(model["shapes"].items()) if shape.get("exception")]
    roots = [each[key] for each in operations for key in ("input", "output") if key in each]
    shapes = reachable(model["shapes"], roots)
    print(f'{{"source": "botocore {version(botocore)}, {service} {SERVICES[service]}",')
    print(f'"operations": {lines(operations)},')
    print(f'"errors": {lines(errors)},')
    print(f'"shapes": {lines(shapes)}}}')


if __name__ == "__main__":
    main()
