"""What the papers say is there, is there: files, headings, options, tests. Needs no server.

Not here: whether what they say is true; each promise has its own test.
"""

import re
import subprocess

import pytest

from server import ROOT, binary

PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "tests/README.md", ROOT / "runtimes/node/README.md"])
OPTIONS = ROOT / "docs/options.md"
COMMANDS = [
    "serve", "invoke", "doctor", "top", "logs", "events", "queues", "generate-event",
    "keys create", "keys list", "keys revoke", "runtimes list", "runtimes install", "runtimes remove",
]


def anchors(paper):
    heads = re.findall(r"^#+ (.*)$", paper.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: str(paper.relative_to(ROOT)))
def test_links_lead_somewhere(paper):
    text = paper.read_text()
    lost = []
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", text):
        if re.match(r"\w+:", target):
            continue
        leads = paper.parent / target if target else paper
        if not leads.exists() or (anchor and anchor not in anchors(leads)):
            lost.append(f"{target}#{anchor}")
    named = re.findall(r"`((?:crates|tests|docs|examples|xtask|runtimes|benches|console)/[\w./-]*[\w/])`", text)
    lost += [name for name in named if not (ROOT / name).exists() and not list(ROOT.glob(f"crates/*/{name}"))]
    assert lost == []


def help_of(command):
    return subprocess.run([binary(), *command.split(), "--help"], capture_output=True, text=True, check=True).stdout


def test_each_option_is_described_and_each_that_is_described_is_there():
    taken = {option for command in COMMANDS for option in re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", help_of(command), re.M)} - {"--help"}
    # The code blocks show the aws CLI too.
    prose = re.sub(r"^```.*?^```$", "", OPTIONS.read_text(), flags=re.M | re.S)
    described = set(re.findall(r"`[^`\n]*?(--[a-z-]+)[^`\n]*`", prose)) | set(re.findall(r"(?<=[` ])(--[a-z-]+)", prose))
    assert sorted(taken - described) == []
    # A sample event's parameters are its own.
    assert sorted(described - taken - {"--account", "--bucket", "--help"}) == []


def test_each_command_is_described():
    said = re.findall(r"^  ([a-z-]+)  ", help_of(""), re.M)
    assert sorted({command.split()[0] for command in COMMANDS}) == sorted(set(said) - {"help"})
    text = OPTIONS.read_text()
    assert [name for name in said if name not in {"help", "serve"} and f"`lambkin {name}" not in text] == []


def test_the_tests_that_hold_a_promise_are_there():
    """By their names: of a test, its file, its module or its directory; `…` stands for a name's rest."""
    sources = [*ROOT.glob("crates/*/**/*.rs"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("tests/browser/*.mjs"), *ROOT.glob("runtimes/node/test/*")]
    sources = [path.relative_to(ROOT) for path in sources if "node_modules" not in path.parts and path.is_file()]
    text = "\n".join((ROOT / path).read_text() for path in sources)
    places = {path.name.split(".")[0] for path in sources} | {part for path in sources for part in path.parts[:-1]}
    lost = []
    for number, line in enumerate((ROOT / "SPECIFICATION.md").read_text().splitlines(), 1):
        if not re.match(r"\| [^|]*\w", line):
            continue
        held = " ".join(re.findall(r"`[^`]+`", line.rstrip("| ").rsplit(" | ", 1)[-1]))
        for name, more in re.findall(r"(?<![\w…/.-])(\w{6,})(?=(…?)(?:\.py|\.mjs)?(?:::|: |`|…))", held):
            if name not in places and not re.search(rf"\b{name}" + ("" if more else r"\b"), text):
                lost.append(f"line {number}: {name}")
    assert lost == []
