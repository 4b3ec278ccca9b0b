//! Targets: what dead letters, destinations, subscriptions and redrives are sent to. A target does not
//! send; it says what would have to be sent to which queues, so that whoever has the message at hand
//! settles it and sends in one step.
//!
//! Deliberately not here: the services behind the targets.

use bytes::Bytes;
use lambkin_model::queue::Post;
/// A message attribute, as SQS and SNS have them.
pub use lambkin_model::sqs::MessageAttribute as Attribute;

/// What is to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message's text.
    pub body: Bytes,
    /// SNS's subject.
    pub subject: Option<String>,
    /// Message attributes.
    pub attributes: Vec<Attribute>,
    /// `X-Amzn-Trace-Id`, with the lineage that shows recursive loops.
    pub trace_id: Option<String>,
    /// FIFO: message group.
    pub group: Option<String>,
    /// FIFO: deduplication id.
    pub deduplication: Option<String>,
    /// Who sends, where it is a service by itself; `None`: a function's role, which is asked nothing here.
    pub sender: Option<Sender>,
}

/// A service that sends by itself: the target's own policy must let it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// `sns.amazonaws.com`.
    pub service: &'static str,
    /// The ARN of what it sends for.
    pub source: String,
}

/// Why a target takes nothing. The delivery may be tried again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{target}: {code}: {message}")]
pub struct Undeliverable {
    /// The target's ARN.
    pub target: String,
    /// AWS's error code: `AWS.SimpleQueueService.NonExistentQueue`.
    pub code: String,
    /// AWS's message.
    pub message: String,
}

impl Undeliverable {
    /// Whether another try would find as much: the delivery itself is what is wrong.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self.code.as_str(),
            "InvalidParameter"
                | "InvalidParameterValue"
                | "InvalidMessageContents"
                | "MessageTooLong"
                | "BatchRequestTooLong"
                | "RequestTooLargeException"
                | "InvalidRequestContentException"
        )
    }
}

/// A service that takes deliveries for ARNs of its own.
pub trait Target: Send + Sync {
    /// What must be sent so that `delivery` has reached `arn`: nothing (a topic without subscriptions), one
    /// message or several.
    fn posts(&self, arn: &str, delivery: &Delivery) -> Result<Vec<Post>, Undeliverable>;

    /// Whether there is such a target now: configuration that names another is refused.
    fn check(&self, arn: &str) -> Result<(), Undeliverable>;
}
