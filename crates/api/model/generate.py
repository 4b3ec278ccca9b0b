#!/usr/bin/env python3
"""Writes lambda.json: the facts of AWS Lambda's service model that routing, validation and the
coverage table need, out of an installed botocore. No documentation text is taken over.

    python3 generate.py PATH/TO/site-packages/botocore > lambda.json

One operation, error and shape per line, so that a newer botocore gives a readable diff. What the
service was recorded to do otherwise stands in lambda-recorded.json, never here.
"""

import gzip
import json
import pathlib
import re
import sys

CONSTRAINTS = ("min", "max", "pattern", "enum", "sensitive")
LOCATIONS = {"uri": "uri", "header": "header", "headers": "headers", "querystring": "query"}


def load(botocore):
    path = botocore / "data" / "lambda" / "2015-03-31" / "service-2.json"
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
    if shape["type"] == "map":
        out["key"], out["value"] = shape["key"]["shape"], shape["value"]["shape"]
    if shape["type"] == "structure":
        out["members"] = [
            member(each, facts, shape) for each, facts in shape["members"].items() if not facts.get("deprecated")
        ]
    return out


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


def operation(name, facts):
    http = facts["http"]
    out = {"name": name, "method": http["method"], "uri": http["requestUri"], "status": http["responseCode"]}
    if "input" in facts:
        out["input"] = facts["input"]["shape"]
    return out


def error(name, shape):
    text = [each for each in shape["members"] if each.lower() == "message"]
    status = shape.get("error", {}).get("httpStatusCode")
    return {"name": name, "status": status, "text": text[0] if text else None, "fault": bool(shape.get("fault"))}


def lines(items):
    return "[\n" + ",\n".join("  " + json.dumps(item, separators=(",", ":")) for item in items) + "\n]"


def main():
    botocore = pathlib.Path(sys.argv[1])
    model = load(botocore)
    operations = [operation(name, facts) for name, facts in sorted(model["operations"].items())]
    errors = [error(name, shape) for name, shape in sorted(model["shapes"].items()) if shape.get("exception")]
    shapes = reachable(model["shapes"], [each["input"] for each in operations if "input" in each])
    print(f'{{"source": "botocore {version(botocore)}, lambda 2015-03-31",')
    print(f'"operations": {lines(operations)},')
    print(f'"errors": {lines(errors)},')
    print(f'"shapes": {lines(shapes)}}}')


if __name__ == "__main__":
    main()
