"""Prometheus's text format, version 0.0.4, read strictly: whatever a scraper might stumble over is an AssertionError.

Not here: which metrics there are.
"""

import collections
import math
import re
import urllib.request

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.+)\}})? (\S+)")
NUMBER = re.compile(r"[+-]Inf|NaN|[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?")

Family = collections.namedtuple("Family", "kind help labels samples")
"""`labels`: the names, without `le`. `samples`: {labels' values in that order: a number, or a Histogram}."""

Histogram = collections.namedtuple("Histogram", "buckets sum count")
"""`buckets`: [(bound, values not above it)], the last one's bound is infinity."""


def unescaped(text):
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text)


def labels_of(text):
    found, rest = {}, text or ""
    while rest:
        match = LABEL.match(rest)
        assert match and match[1] not in found, f"labels {text!r}"
        found[match[1]] = unescaped(match[2])
        rest = rest[match.end():]
        assert bool(match[3]) == bool(rest), f"labels {text!r}"
    return found


def parse(text):
    """{name: Family}."""
    assert text.endswith("\n") and "\r" not in text
    families, lines = {}, text[:-1].split("\n")
    name = kind = None
    values = {}
    position = 0
    while position < len(lines):
        help_line = re.fullmatch(rf"# HELP ({NAME}) (.+)", lines[position])
        assert help_line, f"a family begins with its help, not {lines[position]!r}"
        name = help_line[1]
        assert name not in families, f"{name} comes twice"
        type_line = re.fullmatch(rf"# TYPE {name} (counter|gauge|histogram)", lines[position + 1])
        assert type_line, f"then comes its type, not {lines[position + 1]!r}"
        kind = type_line[1]
        assert (kind == "counter") == name.endswith("_total"), name
        position += 2
        values = collections.OrderedDict()
        while position < len(lines) and not lines[position].startswith("#"):
            sample = SAMPLE.fullmatch(lines[position])
            assert sample and NUMBER.fullmatch(sample[3]), lines[position]
            suffix = sample[1].removeprefix(name)
            assert sample[1].startswith(name) and suffix in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",)), lines[position]
            labels = labels_of(sample[2])
            key = (suffix, tuple(labels.items()))
            assert key not in values, f"{lines[position]} comes twice"
            values[key] = float(sample[3].replace("Inf", "inf"))
            position += 1
        assert values, f"{name} has no sample"
        families[name] = family(name, kind, unescaped(help_line[2]), values)
    return families


def family(name, kind, help_text, values):
    names = {tuple(label for label, _ in labels if label != "le") for _, labels in values}
    assert len(names) == 1, f"{name} has different labels: {names}"
    samples = {}
    for (suffix, labels), value in values.items():
        own = tuple(text for label, text in labels if label != "le")
        assert ("le" in dict(labels)) == (suffix == "_bucket"), labels
        if kind != "histogram":
            assert kind == "gauge" or value >= 0
            samples[own] = value
            continue
        parts = samples.setdefault(own, {"_bucket": []})
        if suffix == "_bucket":
            parts["_bucket"].append((float(dict(labels)["le"].replace("Inf", "inf")), value))
        else:
            parts[suffix] = value
    if kind == "histogram":
        samples = {own: histogram(name, parts) for own, parts in samples.items()}
    return Family(kind, help_text, next(iter(names)), samples)


def histogram(name, parts):
    buckets = parts["_bucket"]
    bounds, counts = [bound for bound, _ in buckets], [count for _, count in buckets]
    assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, f"{name}: {bounds}"
    assert counts == sorted(counts) and counts[-1] == parts["_count"], f"{name}: {counts}"
    return Histogram(buckets, parts["_sum"], parts["_count"])


def scrape(endpoint):
    """What a lambkin says now."""
    with urllib.request.urlopen(endpoint + "/metrics", timeout=30) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return parse(answer.read().decode())
