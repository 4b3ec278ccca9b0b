//! A message's content as SQS keeps it in the store: the body and what stands beside it.

use bytes::Bytes;
use lambkin_model::sqs::MessageAttribute;
use serde::{Deserialize, Serialize};

/// What a message says and carries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) body: String,
    /// Name, type and value of each message attribute.
    attributes: Vec<(String, String, Vec<u8>)>,
    pub(crate) sender: String,
    pub(crate) trace_header: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) deduplication: Option<String>,
    /// ARN of the queue it came from as a dead letter.
    pub(crate) dead_letter_source: Option<String>,
    /// How often it was received there.
    pub(crate) received_before: u32,
}

/// First byte of every content; another is of a newer lambkin.
const FORMAT: u8 = 1;

impl Envelope {
    pub(crate) fn new(body: String, attributes: &[MessageAttribute], sender: String) -> Self {
        let attributes =
            attributes.iter().map(|each| (each.name.clone(), each.data_type.clone(), each.value.to_vec()));
        Self { body, attributes: attributes.collect(), sender, ..Self::default() }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(self.body.len() + 64);
        bytes.push(FORMAT);
        postcard::to_extend(self, bytes).expect("memory is no obstacle").into()
    }

    /// Reads one; says what is wrong with it.
    pub(crate) fn decode(content: &[u8]) -> Result<Self, String> {
        match content.split_first() {
            Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|error| error.to_string()),
            Some((format, _)) => Err(format!("format {format} of a message is newer than this lambkin")),
            None => Err("a message without content".into()),
        }
    }

    pub(crate) fn attributes(&self) -> Vec<MessageAttribute> {
        let attribute = |(name, data_type, value): &(String, String, Vec<u8>)| MessageAttribute {
            name: name.clone(),
            data_type: data_type.clone(),
            value: value.clone().into(),
        };
        self.attributes.iter().map(attribute).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_is_given() {
        let attribute = MessageAttribute {
            name: "a".into(),
            data_type: "Binary".into(),
            value: Bytes::from_static(&[0, 255]),
        };
        let mut envelope =
            Envelope::new("body".into(), std::slice::from_ref(&attribute), "000000000000".into());
        envelope.group = Some("g".into());
        envelope.received_before = 3;
        let read = Envelope::decode(&envelope.encode()).unwrap();
        assert_eq!(read, envelope);
        assert_eq!(read.attributes(), [attribute]);
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        assert!(Envelope::decode(&[]).is_err());
        assert!(Envelope::decode(&[9, 1]).unwrap_err().contains("newer"));
        assert!(Envelope::decode(&[1, 200]).is_err());
    }

    /// Written by the first lambkin that had queues.
    #[test]
    fn reads_the_kept_format() {
        let mut envelope = Envelope::new("hi".into(), &[], "s".into());
        envelope.trace_header = Some("Root=1".into());
        let kept = b"\x01\x02hi\x00\x01s\x01\x06Root=1\x00\x00\x00\x00";
        assert_eq!(Envelope::decode(kept), Ok(envelope));
    }
}
