"""What there is while lambkin is killed: functions and where their events end, queues, a topic, mappings.

Deliberately not here: who uses it (workload.py).
"""

import json
import pathlib

import boto3
import botocore.config

import lambda_client
from lambda_client import ACCOUNT, REGION

HANDLER = pathlib.Path(__file__).with_name("handler.js").read_text()

# How long a received message is nobody else's, in seconds: long enough to delete it, short enough to wait for.
VISIBILITY = 6
# Of the mapping that keeps order: a group waits for it after each failure. Not below the function's timeout.
STEP_VISIBILITY = 2
# Between receiving a message and the last moment to try to delete it.
DELETE_WITHIN = 4
# Receives of a message of a mapping, before it goes to its dead-letter queue.
RECEIVES = 4
# Repetitions of a failed event.
RETRIES = 1

# Functions that get events, and where those end.
EVENTS = {
    "plain": {},
    "dead": {"dead_letters": "dead-letters"},
    "both": {"success": "succeeded", "failure": "failed"},
    "topics": {"failure_topic": "failures"},
    "chained": {"success_function": "plain"},
    # Its queue is deleted: what fails for good has nowhere to go, and must be tried all the same.
    "refused": {"failure": "gone"},
}
# Functions that are called by others.
CALLED = ["worker", "stepper", "listener"]

STANDARD = ["post", "work", "work-dead", "dead-letters", "succeeded", "failed", "topic-failed", "news-raw", "news-red", "gone"]
FIFO = ["orders.fifo", "steps.fifo"]
# Queues that are only read when all is over.
RESULTS = ["work-dead", "dead-letters", "succeeded", "failed", "topic-failed", "news-raw", "news-red"]
GROUPS = ["a", "b", "c"]
COLOURS = ["red", "green"]


def queue_arn(name):
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def topic_arn(name):
    return f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"


def client(service, endpoint):
    """Unmodified boto3, which sends everything once: the ledger has to know what was repeated."""
    return boto3.session.Session().client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="any",
        config=botocore.config.Config(
            retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20, max_pool_connections=32
        ),
    )


class Clients:
    """Of one run of lambkin: the next one listens elsewhere."""

    def __init__(self, endpoint):
        self.lambda_ = client("lambda", endpoint)
        self.sqs = client("sqs", endpoint)
        self.sns = client("sns", endpoint)
        self.endpoint = endpoint

    def url(self, queue):
        return f"{self.endpoint}/{ACCOUNT}/{queue}"

    def counts(self, queue):
        """Visible, in flight, delayed."""
        names = ["", "NotVisible", "Delayed"]
        names = [f"ApproximateNumberOfMessages{name}" for name in names]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url(queue), AttributeNames=names)["Attributes"]
        return tuple(int(answer[name]) for name in names)


def build(clients, reports):
    """Makes all of it. Answers when functions are active and mappings enabled."""
    sqs, sns, lambda_ = clients.sqs, clients.sns, clients.lambda_
    for name in STANDARD:
        sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": str(VISIBILITY)})
    for name in FIFO:
        visibility = STEP_VISIBILITY if name == "steps.fifo" else VISIBILITY
        sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": str(visibility), "FifoQueue": "true"})
    redrive = {"deadLetterTargetArn": queue_arn("work-dead"), "maxReceiveCount": RECEIVES}
    sqs.set_queue_attributes(QueueUrl=clients.url("work"), Attributes={"RedrivePolicy": json.dumps(redrive)})
    for name in ["news", "failures"]:
        sns.create_topic(Name=name)
    for name in [*EVENTS, *CALLED]:
        settings = {"Timeout": 1, "Environment": {"Variables": {"WHERE": name, "REPORTS": str(reports)}}}
        if "dead_letters" in EVENTS.get(name, {}):
            settings["DeadLetterConfig"] = {"TargetArn": queue_arn(EVENTS[name]["dead_letters"])}
        lambda_client.create(lambda_, name, HANDLER, wait=False, **settings)
    for name in [*EVENTS, *CALLED]:
        lambda_client.active(lambda_, name)
    _subscribe(clients)
    _destinations(clients)
    sqs.delete_queue(QueueUrl=clients.url("gone"))
    for queue, function in [("work", "worker"), ("steps.fifo", "stepper")]:
        lambda_.create_event_source_mapping(
            EventSourceArn=queue_arn(queue),
            FunctionName=function,
            BatchSize=5,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )

    def enabled():
        mappings = lambda_.list_event_source_mappings()["EventSourceMappings"]
        return len(mappings) == 2 and all(mapping["State"] == "Enabled" for mapping in mappings)

    lambda_client.eventually(enabled, 30, "the mappings are enabled")


def _subscribe(clients):
    def subscribe(topic, protocol, endpoint, **attributes):
        clients.sns.subscribe(
            TopicArn=topic_arn(topic), Protocol=protocol, Endpoint=endpoint, Attributes=attributes, ReturnSubscriptionArn=True
        )

    subscribe("news", "sqs", queue_arn("news-raw"), RawMessageDelivery="true")
    red = {"colour": ["red"]}
    subscribe("news", "sqs", queue_arn("news-red"), FilterPolicy=json.dumps(red))
    # As on AWS: a topic invokes whom that function's policy lets it.
    clients.lambda_.add_permission(
        FunctionName="listener",
        StatementId="news",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic_arn("news"),
    )
    subscribe("news", "lambda", lambda_client.arn("listener"))
    subscribe("failures", "sqs", queue_arn("topic-failed"))


def _destinations(clients):
    for name, ends in EVENTS.items():
        destinations = {}
        if "success" in ends:
            destinations["OnSuccess"] = {"Destination": queue_arn(ends["success"])}
        if "success_function" in ends:
            destinations["OnSuccess"] = {"Destination": lambda_client.arn(ends["success_function"])}
        if "failure" in ends:
            destinations["OnFailure"] = {"Destination": queue_arn(ends["failure"])}
        if "failure_topic" in ends:
            destinations["OnFailure"] = {"Destination": topic_arn(ends["failure_topic"])}
        clients.lambda_.put_function_event_invoke_config(
            FunctionName=name, MaximumRetryAttempts=RETRIES, DestinationConfig=destinations
        )
