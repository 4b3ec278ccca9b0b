//! What SQS's operations answer, as documents.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambkin_events::sqs::{MoveListing, Page, ReceivedMessage, SentMessage, SqsError};
use lambkin_model::record::ResourceKey;
use lambkin_model::sqs::{md5_of_attributes, md5_of_body, selects};
use lambkin_model::time::Timestamp;

use crate::api::Call;
use crate::node::{Node, map, text};
use crate::wire::{Fault, Protocol};

pub(super) type Members = Vec<(&'static str, Node<'static>)>;

pub(super) fn number(number: u64) -> Node<'static> {
    Node::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A queue's address, by the host that the client reached lambkin by.
pub(super) fn url(call: &Call<'_>, key: &ResourceKey) -> String {
    format!("{}/{}/{}", call.origin(), key.account, key.name)
}

/// Queues' addresses; a page without any has no list.
pub(super) fn page(call: &Call<'_>, list: &'static str, page: Page) -> Node<'static> {
    let urls: Vec<_> = page.queues.iter().map(|key| text(url(call, key))).collect();
    // The model requires the list of `ListDeadLetterSourceQueues`.
    let listed = (!urls.is_empty() || list == "queueUrls").then_some((list, Node::List(urls)));
    map(listed.into_iter().chain(page.next.map(|token| ("NextToken", text(token)))))
}

pub(super) fn sent(sent: SentMessage) -> Members {
    let mut members = vec![("MessageId", text(sent.id)), ("MD5OfMessageBody", text(sent.md5_of_body))];
    for (name, value) in [
        ("MD5OfMessageAttributes", sent.md5_of_attributes),
        ("MD5OfMessageSystemAttributes", sent.md5_of_system_attributes),
        ("SequenceNumber", sent.sequence),
    ] {
        members.extend(value.map(|value| (name, text(value))));
    }
    members
}

/// What became of each entry of a batch, by its id.
pub(super) fn batch<T>(
    results: impl IntoIterator<Item = (String, Result<T, SqsError>)>,
    members: impl Fn(T) -> Members,
) -> Node<'static> {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (id, result) in results {
        match result {
            Ok(done) => successful.push(map([("Id", text(id))].into_iter().chain(members(done)))),
            Err(error) => {
                let fault = Fault::of_sqs(&error, Protocol::Json);
                failed.push(map([
                    ("Id", text(id)),
                    ("Code", text(fault.code)),
                    ("Message", text(fault.message)),
                    ("SenderFault", Node::Boolean(fault.sender)),
                ]));
            }
        }
    }
    map([("Successful", Node::List(successful)), ("Failed", Node::List(failed))])
}

pub(super) fn moves(source: &str, tasks: Vec<MoveListing>) -> Node<'static> {
    let results = tasks.into_iter().map(|MoveListing { task, handle }| {
        let mut members: Members = handle.map(|handle| ("TaskHandle", text(handle))).into_iter().collect();
        members.push(("Status", text(task.status.as_str())));
        members.push(("SourceArn", text(source.to_owned())));
        members.extend(task.destination.map(|arn| ("DestinationArn", text(arn))));
        members.extend(task.rate.map(|rate| ("MaxNumberOfMessagesPerSecond", number(rate.into()))));
        members.push(("ApproximateNumberOfMessagesMoved", number(task.moved)));
        members.push(("ApproximateNumberOfMessagesToMove", number(task.to_move)));
        members.extend(task.failure.map(|why| ("FailureReason", text(why))));
        members.push(("StartedTimestamp", number(task.started.millis())));
        map(members)
    });
    map([("Results", Node::List(results.collect()))])
}

/// The system attributes there are.
const SYSTEM: [&str; 9] = [
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

/// Refuses names that no message has.
pub(super) fn check_system_names(names: &[String]) -> Result<(), SqsError> {
    match names.iter().find(|name| *name != "All" && !SYSTEM.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(SqsError::InvalidAttributeName(format!("Unknown Attribute {name}."))),
    }
}

/// Received messages with what was asked for of them; none is no list.
pub(super) fn rendered(messages: Vec<ReceivedMessage>, system: &[String], names: &[String]) -> Node<'static> {
    let messages: Vec<_> = messages.into_iter().map(|message| received(message, system, names)).collect();
    map((!messages.is_empty()).then_some(("Messages", Node::List(messages))))
}

fn received(message: ReceivedMessage, system: &[String], names: &[String]) -> Node<'static> {
    let mut members = vec![
        ("MessageId", text(message.id.clone())),
        ("ReceiptHandle", text(message.receipt.clone())),
        ("MD5OfBody", text(md5_of_body(&message.body))),
    ];
    let asked = |name: &&str| system.iter().any(|asked| asked == "All" || asked == name);
    let attributes = SYSTEM.into_iter().filter(asked);
    let attributes: Members =
        attributes.filter_map(|name| Some((name, text(system_attribute(&message, name)?)))).collect();
    let mut own = message.attributes;
    own.retain(|attribute| selects(names, &attribute.name));
    members.push(("Body", text(message.body)));
    if !attributes.is_empty() {
        members.push(("Attributes", map(attributes)));
    }
    if let Some(digest) = md5_of_attributes(&own) {
        members.push(("MD5OfMessageAttributes", text(digest)));
        let own = own.into_iter().map(|attribute| {
            let value = if attribute.is_binary() {
                ("BinaryValue", text(STANDARD.encode(&attribute.value)))
            } else {
                ("StringValue", text(String::from_utf8_lossy(&attribute.value).into_owned()))
            };
            (attribute.name, map([value, ("DataType", text(attribute.data_type))]))
        });
        members.push(("MessageAttributes", map(own)));
    }
    map(members)
}

fn system_attribute(message: &ReceivedMessage, name: &str) -> Option<String> {
    let millis = |at: Timestamp| at.millis().to_string();
    match name {
        "SenderId" => Some(message.sender.clone()),
        "SentTimestamp" => Some(millis(message.sent)),
        "ApproximateReceiveCount" => Some(message.received.to_string()),
        "ApproximateFirstReceiveTimestamp" => Some(millis(message.first_received)),
        "SequenceNumber" => message.sequence.clone(),
        "MessageDeduplicationId" => message.deduplication.clone(),
        "MessageGroupId" => message.group.clone(),
        "AWSTraceHeader" => message.trace_header.clone(),
        "DeadLetterQueueSourceArn" => message.dead_letter_source.clone(),
        _ => None,
    }
}
