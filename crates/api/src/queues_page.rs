//! `/_lambkin/queues`: what is in every queue, for `lambkin queues` and whoever watches.

use http::StatusCode;
use lambkin_model::Error;
use serde::Serialize;

use crate::Api;
use crate::reply::{Reply, json};

#[derive(Serialize)]
struct Page {
    queues: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    region: String,
    arn: String,
    /// Messages that can be received.
    visible: u64,
    in_flight: u64,
    delayed: u64,
    /// Seconds since the oldest message was first sent; `null` where there is none.
    oldest_seconds: Option<u64>,
    /// ARN.
    dead_letter_queue: Option<String>,
}

impl Api {
    pub(crate) async fn queues_page(&self) -> Result<Reply, Error> {
        let now = crate::functions::now();
        let mut queues = Vec::new();
        let counted = self.events.sqs.counts_of_all().await;
        for (queue, counts) in counted.map_err(|error| Error::Service(error.to_string()))? {
            queues.push(Line {
                name: queue.key.name.to_string(),
                region: queue.key.region.to_string(),
                arn: queue.arn(),
                visible: counts.visible,
                in_flight: counts.in_flight,
                delayed: counts.delayed,
                oldest_seconds: counts.oldest.map(|oldest| now.saturating_sub(oldest.0 / 1_000_000)),
                dead_letter_queue: queue.attributes.redrive.as_ref().map(|redrive| redrive.target.arn("sqs")),
            });
        }
        Ok(json(StatusCode::OK, &Page { queues }))
    }
}
