"""The log that lambkin keeps, read from its files: logs/<account>/<region>/<group>/<stream>.ndjson below the data
directory, one event a line. No operation of the Lambda API reads it.
"""

import json
import urllib.parse


def events(data, group, account="000000000000", region="us-east-1"):
    """Messages of a group's streams by stream name, oldest first."""
    folder = data / "logs" / account / region / urllib.parse.quote(group, safe="[]$")
    streams = {}
    for path in sorted(folder.glob("*.ndjson")):
        messages = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            if line.endswith("\n"):
                messages.append(json.loads(line)["message"])
        streams[urllib.parse.unquote(path.name.removesuffix(".ndjson"))] = messages
    return streams


def text(data, group):
    """All of a group as one text."""
    return "".join(message.rstrip("\n") + "\n" for messages in events(data, group).values() for message in messages)
