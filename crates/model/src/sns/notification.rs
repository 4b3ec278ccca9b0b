//! What subscribers get: the JSON text in a queue, the event of a function. Members and their order are AWS's.
//!
//! Deliberately not here: who gets one; making signatures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::sqs::MessageAttribute;

/// A notification of one message to one subscription.
#[derive(Debug, Clone, Copy)]
pub struct Notification<'a> {
    /// The message's UUID.
    pub message_id: &'a str,
    /// The topic.
    pub topic_arn: &'a str,
    /// The subscription.
    pub subscription_arn: &'a str,
    /// The message's subject.
    pub subject: Option<&'a str>,
    /// The message.
    pub text: &'a str,
    /// When it was published: `2026-01-02T03:04:05.678Z`.
    pub timestamp: &'a str,
    /// 1 or 2.
    pub signature_version: u8,
    /// Base64.
    pub signature: &'a str,
    /// Where lambkin answers: `http://127.0.0.1:4566`.
    pub address: &'a str,
    /// The message's attributes.
    pub attributes: &'a [MessageAttribute],
}

impl Notification<'_> {
    /// The body of a queue's message, laid out as AWS's.
    #[must_use]
    pub fn body(&self) -> String {
        let mut lines = vec![
            ("Type", quoted("Notification")),
            ("MessageId", quoted(self.message_id)),
            ("TopicArn", quoted(self.topic_arn)),
        ];
        lines.extend(self.subject.map(|subject| ("Subject", quoted(subject))));
        lines.extend([
            ("Message", quoted(self.text)),
            ("Timestamp", quoted(self.timestamp)),
            ("SignatureVersion", quoted(&self.signature_version.to_string())),
            ("Signature", quoted(self.signature)),
            ("SigningCertURL", quoted(&self.certificate_url())),
            ("UnsubscribeURL", quoted(&self.unsubscribe_url())),
        ]);
        if !self.attributes.is_empty() {
            let attributes = self.attributes.iter();
            let attributes: Vec<_> = attributes
                .map(|attribute| format!("    {} : {}", quoted(&attribute.name), shown(attribute)))
                .collect();
            lines.push(("MessageAttributes", format!("{{\n{}\n  }}", attributes.join(",\n"))));
        }
        let lines: Vec<_> =
            lines.into_iter().map(|(name, value)| format!("  \"{name}\" : {value}")).collect();
        format!("{{\n{}\n}}", lines.join(",\n"))
    }

    /// The event of a function.
    #[must_use]
    pub fn event(&self) -> String {
        let attributes: Map<_, _> =
            self.attributes.iter().map(|attribute| (attribute.name.clone(), shown(attribute))).collect();
        json!({"Records": [{
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": self.subscription_arn,
            "Sns": {
                "Type": "Notification",
                "MessageId": self.message_id,
                "TopicArn": self.topic_arn,
                "Subject": self.subject,
                "Message": self.text,
                "Timestamp": self.timestamp,
                "SignatureVersion": self.signature_version.to_string(),
                "Signature": self.signature,
                "SigningCertUrl": self.certificate_url(),
                "UnsubscribeUrl": self.unsubscribe_url(),
                "MessageAttributes": attributes,
            },
        }]})
        .to_string()
    }

    fn certificate_url(&self) -> String {
        format!("{}/SimpleNotificationService-unsigned.pem", self.address)
    }

    fn unsubscribe_url(&self) -> String {
        format!("{}/?Action=Unsubscribe&SubscriptionArn={}", self.address, self.subscription_arn)
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn shown(attribute: &MessageAttribute) -> Value {
    let value = match std::str::from_utf8(&attribute.value) {
        Ok(text) if !attribute.is_binary() => text.to_owned(),
        Ok(_) | Err(_) => STANDARD.encode(&attribute.value),
    };
    json!({"Type": attribute.data_type, "Value": value})
}
