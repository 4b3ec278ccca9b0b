//! SQS's own grammar: `The request must contain the parameter SendMessageBatchRequestEntry.1.Id.` Its model says of
//! values no more than what they are called; what is wrong with them is `model`'s and has words of its own.

use lambkin_events::sqs::SqsError;

use super::{Broken, Step, violations};
use crate::node::Node;
use crate::service_model::{Operation, ServiceModel};

/// Checks that everything is there that must be.
pub(crate) fn check(model: &ServiceModel, operation: &Operation, input: &Node<'_>) -> Result<(), SqsError> {
    let found = violations(model, operation, input);
    let missing = found.iter().find(|violation| matches!(violation.broken, Broken::Missing));
    missing.map_or(Ok(()), |violation| Err(SqsError::MissingParameter(place(model, &violation.path))))
}

/// As the Query protocol writes it: items go by a name of their own.
fn place(model: &ServiceModel, path: &[Step<'_>]) -> String {
    let part = |(index, step): (usize, &Step<'_>)| match step {
        Step::Member(member) => {
            let items = matches!(path.get(index + 1), Some(Step::Item(_)));
            let name = items.then(|| model.shape(member.shape).wires.names.first()).flatten();
            name.unwrap_or(&member.name).to_string()
        }
        Step::Item(index) => (index + 1).to_string(),
        Step::Entry(key) => (*key).to_owned(),
    };
    path.iter().enumerate().map(part).collect::<Vec<_>>().join(".")
}
