//! Topics as targets: of dead letters and destinations.

use lambkin_model::queue::Post;
use lambkin_model::record::ResourceKey;
use lambkin_model::sns::{Message, SnsError, check_message, check_subject, parse_arn, topic_key};

use super::Sns;
use crate::target::{Delivery, Target, Undeliverable};

impl Target for Sns {
    fn posts(&self, arn: &str, delivery: &Delivery) -> Result<Vec<Post>, Undeliverable> {
        let refused = |error: SnsError| undeliverable(arn, &error);
        let fan_out = self.fan_out(&key(arn).map_err(refused)?).map_err(refused)?;
        let message = Message {
            text: String::from_utf8_lossy(&delivery.body).into_owned(),
            subject: delivery.subject.clone(),
            attributes: delivery.attributes.clone(),
            group: delivery.group.as_deref().map(Into::into),
            trace_id: delivery.trace_id.clone(),
            ..Message::default()
        };
        check_message(&message.text, &message.attributes).map_err(refused)?;
        message.subject.as_deref().map_or(Ok(()), check_subject).map_err(refused)?;
        let mut posts = Vec::new();
        self.post(&fan_out, &message, &mut posts);
        Ok(posts)
    }

    fn check(&self, arn: &str) -> Result<(), Undeliverable> {
        let there = key(arn).and_then(|key| self.require(&key));
        there.map(|_| ()).map_err(|error| undeliverable(arn, &error))
    }
}

/// Any region's topic: who delivers is inside, where the edge's rule about regions is not meant.
fn key(arn: &str) -> Result<ResourceKey, SnsError> {
    let parts = parse_arn("TopicArn", arn)?;
    topic_key("TopicArn", arn, parts[3])
}

fn undeliverable(arn: &str, error: &SnsError) -> Undeliverable {
    let code = if *error == SnsError::TopicNotFound { "NotFound" } else { "InvalidParameter" };
    Undeliverable { target: arn.to_owned(), code: code.into(), message: error.to_string() }
}
