//! The services that are not REST, each with what tells its requests from the others'.

use std::sync::LazyLock;

use crate::service_model::{CLOUDWATCH, IAM, LOGS, SNS, SQS, STS, ServiceModel};

/// Which service it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    CloudWatch,
    Iam,
    Logs,
    Sns,
    Sqs,
    Sts,
}

/// A service that lambkin answers for beside Lambda.
pub(crate) struct Service {
    pub(crate) which: Which,
    /// As the credential's scope names it.
    pub(crate) name: &'static str,
    pub(crate) model: &'static LazyLock<ServiceModel>,
    /// Before an operation's name in `X-Amz-Target`; `None`: the service speaks no JSON.
    pub(super) target: Option<&'static str>,
    /// `None`: it speaks no Query.
    pub(super) query: Option<Query>,
    /// Largest request body, in bytes.
    pub(crate) request_bytes: usize,
}

/// What tells one Query protocol from another.
pub(crate) struct Query {
    /// `Version` of its requests.
    pub(super) version: &'static str,
    /// Of its XML documents.
    namespace: &'static str,
}

pub(crate) static SQS_SERVICE: Service = Service {
    which: Which::Sqs,
    name: "sqs",
    model: &SQS,
    target: Some("AmazonSQS."),
    query: Some(Query { version: "2012-11-05", namespace: "http://queue.amazonaws.com/doc/2012-11-05/" }),
    request_bytes: lambkin_model::sqs::REQUEST_BYTES,
};

pub(crate) static SNS_SERVICE: Service = Service {
    which: Which::Sns,
    name: "sns",
    model: &SNS,
    target: None,
    query: Some(Query { version: "2010-03-31", namespace: "http://sns.amazonaws.com/doc/2010-03-31/" }),
    request_bytes: lambkin_model::sns::REQUEST_BYTES,
};

/// A batch of log events has a megabyte of text, which JSON may write with six characters for one. lambkin's own bound.
const LOGS_REQUEST_BYTES: usize = 8 << 20;

pub(crate) static LOGS_SERVICE: Service = Service {
    which: Which::Logs,
    name: "logs",
    model: &LOGS,
    target: Some("Logs_20140328."),
    query: None,
    request_bytes: LOGS_REQUEST_BYTES,
};

/// What IAM takes of a document is less than half of it; both as a form writes them.
const IAM_REQUEST_BYTES: usize = 1 << 20;

static IAM_SERVICE: Service = Service {
    which: Which::Iam,
    name: "iam",
    model: &IAM,
    target: None,
    query: Some(Query { version: "2010-05-08", namespace: "https://iam.amazonaws.com/doc/2010-05-08/" }),
    request_bytes: IAM_REQUEST_BYTES,
};

static STS_SERVICE: Service = Service {
    which: Which::Sts,
    name: "sts",
    model: &STS,
    target: None,
    query: Some(Query { version: "2011-06-15", namespace: "https://sts.amazonaws.com/doc/2011-06-15/" }),
    request_bytes: 64 * 1024,
};

/// What AWS takes of one PutMetricData, before it is packed.
const CLOUDWATCH_REQUEST_BYTES: usize = 1 << 20;

pub(crate) static CLOUDWATCH_SERVICE: Service = Service {
    which: Which::CloudWatch,
    name: "monitoring",
    model: &CLOUDWATCH,
    target: Some("GraniteServiceVersion20100801."),
    query: Some(Query {
        version: "2010-08-01",
        namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/",
    }),
    request_bytes: CLOUDWATCH_REQUEST_BYTES,
};

pub(super) static SERVICES: [&Service; 6] =
    [&CLOUDWATCH_SERVICE, &SQS_SERVICE, &SNS_SERVICE, &LOGS_SERVICE, &STS_SERVICE, &IAM_SERVICE];

impl Service {
    pub(crate) fn namespace(&self) -> &'static str {
        self.query.as_ref().map_or("", |query| query.namespace)
    }
}
