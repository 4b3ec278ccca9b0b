"""The log that lambkin keeps, read by CloudWatch Logs' operations."""

import aws_client


def events(server, group):
    """Messages of a group's streams by stream name, oldest first; empty where there is no such group."""
    logs = aws_client.client("logs", server.endpoint)
    try:
        pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=group)
        names = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    except logs.exceptions.ResourceNotFoundException:
        return {}
    return {name: list(messages(logs, group, name)) for name in names}


def messages(logs, group, stream):
    """A stream's messages, every page of them."""
    token = {}
    while True:
        page = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **token)
        yield from (event["message"] for event in page["events"])
        if page["nextForwardToken"] == token.get("nextToken"):
            return
        token = {"nextToken": page["nextForwardToken"]}


def text(server, group):
    """All of a group as one text."""
    return "".join(message.rstrip("\n") + "\n" for each in events(server, group).values() for message in each)
