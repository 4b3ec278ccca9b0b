"""What tests of CloudWatch Logs do again and again: put lines, read all pages, run a query."""

import time

import pytest
from botocore.exceptions import ClientError

from server import eventually

HOUR = 3_600_000
DAY = 24 * HOUR


def now():
    return int(time.time() * 1000)


def put(logs, group, stream, messages, at=None):
    """Puts messages a millisecond apart, the last one now."""
    try:
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    except logs.exceptions.ResourceAlreadyExistsException:
        pass
    begin = (at or now()) - len(messages) + 1
    events = [{"timestamp": begin + index, "message": message} for index, message in enumerate(messages)]
    return logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def refused(call, **arguments):
    """(code, message) of a refusal."""
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    error = raised.value.response["Error"]
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Code"], error["Message"]


def filtered(logs, group, **options):
    """Every page of FilterLogEvents."""
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, **options)
    return [event for page in pages for event in page["events"]]


def tail_of(logs, group):
    try:
        return [event["message"] for event in filtered(logs, group)]
    except logs.exceptions.ResourceNotFoundException:
        return []


def results(logs, query, group, **options):
    """A query's rows without pointers."""
    started = logs.start_query(
        logGroupName=group, startTime=int(time.time()) - 3600, endTime=int(time.time()) + 60, queryString=query, **options
    )["queryId"]

    def over():
        answer = logs.get_query_results(queryId=started)
        return answer if answer["status"] not in ("Scheduled", "Running") else None

    answer = eventually(over, 20, "the query is over")
    assert answer["status"] == "Complete"
    rows = [{field["field"]: field["value"] for field in row if field["field"] != "@ptr"} for row in answer["results"]]
    return rows, answer["statistics"]
