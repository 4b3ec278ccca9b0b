"""The clients: threads that send events, messages and notifications, receive and delete, while lambkin is killed under
them, and write into the ledger what they were told.

Deliberately not here: what must follow from it (verdict.py), who kills (chaos.py).
"""

import json
import random
import threading
import time
import uuid

from botocore.exceptions import BotoCoreError, ClientError

from world import COLOURS, DELETE_WITHIN, EVENTS, GROUPS, topic_arn

EVENT_FATES = ["ok"] * 12 + ["slow"] * 2 + ["fail"] * 4 + ["exit"] + ["timeout"]
WORK_FATES = ["ok"] * 12 + ["once"] * 3 + ["poison"] + ["crash"]
# Each failure holds its group up until the lease ends.
STEP_FATES = ["ok"] * 30 + ["once"] + ["crash"]
# Between two requests of a thread, in seconds: lambkin is killed while it works, not while it is flooded.
PACE = 0.03


class Workload:
    def __init__(self, ledger, seed):
        self.ledger = ledger
        self.problems = []
        self._seed = seed
        self._clients = None
        self._changed = threading.Condition()
        self._end = threading.Event()
        self._receive = threading.Event()
        self._threads = []
        self._senders = 0

    def use(self, clients):
        """Those of lambkin's new run; None while there is no lambkin."""
        with self._changed:
            self._clients = clients
            self._changed.notify_all()

    def clients(self):
        with self._changed:
            self._changed.wait_for(lambda: self._clients is not None or self._receive.is_set(), 60)
            if self._clients is None:
                raise RuntimeError("lambkin is not there again")
            return self._clients

    def start(self):
        senders = [self.events, self.events, self.posts, self.orders, self.steps, self.work, self.news]
        self._senders = len(senders)
        loops = [(sender, self._end) for sender in senders]
        loops += [(self.receive_posts, self._receive), (self.receive_orders, self._receive)]
        for number, (loop, end) in enumerate(loops):
            chance = random.Random(f"{self._seed}/{number}")
            thread = threading.Thread(target=self._run, args=(loop, chance, end), name=loop.__name__, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop_sending(self):
        self._end.set()
        self._join(self._senders)

    def stop(self):
        self._end.set()
        with self._changed:
            self._receive.set()
            self._changed.notify_all()
        self._join(len(self._threads))

    def _join(self, count):
        for thread in self._threads[:count]:
            thread.join(60)
            if thread.is_alive():
                self.problems.append(f"the client {thread.name} hangs")

    def _run(self, loop, chance, end):
        steps = loop(chance)
        while not end.is_set():
            try:
                next(steps)
            except Exception as error:
                self.problems.append(f"{loop.__name__}: {type(error).__name__}: {error}")
                return
            end.wait(PACE)

    def call(self, call, **arguments):
        """`ok` as the ledger has it, and the answer."""
        try:
            return True, call(**arguments)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            refused = 400 <= status < 500
            if refused and status != 429:
                raise
            return (False if refused else None), None
        except (BotoCoreError, OSError):
            return None, None

    # Each loop below is a generator: a step sends one request, with the clients of that moment.

    def events(self, chance):
        while True:
            function, identity, fate = chance.choice(list(EVENTS)), _identity(), chance.choice(EVENT_FATES)
            payload = json.dumps({"id": identity, "fate": fate})
            ok, answer = self.call(
                self.clients().lambda_.invoke, FunctionName=function, InvocationType="Event", Payload=payload
            )
            request = answer["ResponseMetadata"]["RequestId"] if ok else None
            if ok and answer["StatusCode"] != 202:
                self.problems.append(f"an event was answered with {answer['StatusCode']}")
            self.ledger.note("event", function=function, id=identity, fate=fate, ok=ok, request=request)
            yield

    def posts(self, chance):
        """A standard queue, that clients read themselves."""
        while True:
            self._send("post", [{} for _ in range(chance.choice([1, 1, 1, 3, 10]))], chance)
            yield

    def work(self, chance):
        """A standard queue with a mapping."""
        while True:
            self._send("work", [{"fate": chance.choice(WORK_FATES)} for _ in range(chance.choice([1, 2, 5]))], chance)
            yield

    def _send(self, queue, contents, chance):
        bodies = [{"id": _identity(), **content} for content in contents]
        clients = self.clients()
        url = clients.url(queue)
        delay = {"DelaySeconds": 1} if chance.random() < 0.1 else {}
        if len(bodies) == 1:
            ok, answer = self.call(
                clients.sqs.send_message, QueueUrl=url, MessageBody=json.dumps(bodies[0]), **delay
            )
            sent = {"0": answer["MessageId"]} if ok else {}
        else:
            entries = [
                {"Id": str(number), "MessageBody": json.dumps(body), **delay} for number, body in enumerate(bodies)
            ]
            ok, answer = self.call(clients.sqs.send_message_batch, QueueUrl=url, Entries=entries)
            sent = {each["Id"]: each["MessageId"] for each in answer["Successful"]} if ok else {}
        for number, body in enumerate(bodies):
            message = sent.get(str(number))
            # An entry that failed on its own account: by lambkin's disk, as nothing is wrong with it.
            self.ledger.note("send", queue=queue, message=message, ok=True if message else (None if ok else ok), **body)

    def orders(self, chance):
        return self._in_order("orders.fifo", chance, ["ok"])

    def steps(self, chance):
        return self._in_order("steps.fifo", chance, STEP_FATES)

    def _in_order(self, queue, chance, fates):
        """A FIFO queue: each number of a group is sent until it was acknowledged, by one deduplication id."""
        numbers = dict.fromkeys(GROUPS, 0)
        while True:
            group = chance.choice(GROUPS)
            count = chance.choice([1, 1, 3])
            bodies = []
            for _ in range(count):
                body = {"id": _identity(), "group": group, "number": numbers[group], "fate": chance.choice(fates)}
                bodies.append(body)
                numbers[group] += 1
            missing = dict(enumerate(bodies))
            while missing:
                first = min(missing)
                # One at a time after a failure: behind it in the batch nothing may come first.
                entries = [
                    {
                        "Id": str(number),
                        "MessageBody": json.dumps(body),
                        "MessageGroupId": group,
                        "MessageDeduplicationId": body["id"],
                    }
                    for number, body in sorted(missing.items())
                    if len(missing) == count or number == first
                ]
                clients = self.clients()
                url = clients.url(queue)
                ok, answer = self.call(clients.sqs.send_message_batch, QueueUrl=url, Entries=entries)
                for each in answer["Successful"] if ok else []:
                    body = missing.pop(int(each["Id"]))
                    self.ledger.note("send", queue=queue, message=each["MessageId"], ok=True, **body)
                yield

    def news(self, chance):
        """A topic, with a filter policy behind it."""
        while True:
            count, colour = chance.choice([1, 1, 4]), chance.choice(COLOURS)
            bodies = [{"id": _identity(), "colour": colour} for _ in range(count)]
            attributes = {"colour": {"DataType": "String", "StringValue": colour}}
            topic = topic_arn("news")
            if count == 1:
                ok, answer = self.call(
                    self.clients().sns.publish, TopicArn=topic, Message=json.dumps(bodies[0]), MessageAttributes=attributes
                )
                sent = {"0"} if ok else set()
            else:
                entries = [
                    {"Id": str(number), "Message": json.dumps(body), "MessageAttributes": attributes}
                    for number, body in enumerate(bodies)
                ]
                ok, answer = self.call(
                    self.clients().sns.publish_batch, TopicArn=topic, PublishBatchRequestEntries=entries
                )
                sent = {each["Id"] for each in answer["Successful"]} if ok else set()
            for number, body in enumerate(bodies):
                self.ledger.note("publish", ok=True if str(number) in sent else (None if ok else ok), **body)
            yield

    def receive_posts(self, chance):
        return self._receive_from("post", chance, lambda: chance.random() < 0.8)

    def receive_orders(self, chance):
        return self._receive_from("orders.fifo", chance, lambda: chance.random() < 0.9)

    def _receive_from(self, queue, chance, wants_to_delete):
        """Receives and deletes; sometimes forgets to delete, so that messages come again."""
        while True:
            messages = receive(self.clients(), self.ledger, queue, self.call, wait=chance.choice([0, 1]))
            end = time.monotonic() + DELETE_WITHIN
            missing = {message["MessageId"]: message for message in messages} if wants_to_delete() else {}
            while missing and time.monotonic() < end:
                chosen = list(missing.values())[: chance.choice([1, 10])]
                for message in delete(self.clients(), self.ledger, queue, chosen, self.call):
                    missing.pop(message)
                yield
            yield


def receive(clients, ledger, queue, call, wait=0):
    """Receives up to ten messages, and notes them."""
    began = time.monotonic()
    names = ["ApproximateReceiveCount", "MessageGroupId", "SequenceNumber"]
    ok, answer = call(
        clients.sqs.receive_message,
        QueueUrl=clients.url(queue),
        MaxNumberOfMessages=10,
        WaitTimeSeconds=wait,
        MessageSystemAttributeNames=names,
        MessageAttributeNames=["All"],
    )
    messages = answer.get("Messages", []) if ok else []
    if messages:
        notes = [
            {
                "message": message["MessageId"],
                "body": message["Body"],
                "sequence": message["Attributes"].get("SequenceNumber"),
                "attributes": {
                    name: value.get("StringValue") for name, value in message.get("MessageAttributes", {}).items()
                },
            }
            for message in messages
        ]
        ledger.note("receive", queue=queue, began=began, messages=notes)
    return messages


def delete(clients, ledger, queue, messages, call):
    """Deletes messages in one request, and notes how that ended. Answers the ids of those that are done with."""
    url = clients.url(queue)
    if len(messages) == 1:
        try:
            ok, answer = call(clients.sqs.delete_message, QueueUrl=url, ReceiptHandle=messages[0]["ReceiptHandle"])
        except ClientError as error:
            # A FIFO queue's answer where the lease has ended.
            if "expired" not in str(error):
                raise
            ok = False
        outcomes = [ok]
    else:
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]} for number, message in enumerate(messages)
        ]
        ok, answer = call(clients.sqs.delete_message_batch, QueueUrl=url, Entries=entries)
        done = {int(each["Id"]) for each in answer["Successful"]} if ok else set()
        ended = {int(each["Id"]) for each in answer.get("Failed", []) if "Receipt" in each["Code"]} if ok else set()
        outcomes = [
            True if number in done else False if number in ended else None for number in range(len(messages))
        ]
    for message, outcome in zip(messages, outcomes):
        ledger.note("delete", queue=queue, message=message["MessageId"], ok=outcome)
    return [message["MessageId"] for message, outcome in zip(messages, outcomes) if outcome is not None]


def _identity():
    return str(uuid.uuid4())


