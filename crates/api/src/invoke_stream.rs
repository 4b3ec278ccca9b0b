//! InvokeWithResponseStream: a streamed answer as AWS's event stream, a `PayloadChunk` for what the
//! function wrote at once and `InvokeComplete` at the end.
//!
//! Deliberately not here: how a request is read (`invoke.rs`), and how fast the function may write: it
//! waits while nothing is asked for here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue as EventHeader, Message};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use hyper::body::{Body, Frame};
use lambkin_model::Error;
use lambkin_model::invocation::{Completion, Piece, Pieces};
use serde::Serialize;

use crate::Api;
use crate::api::Call;
use crate::body::RequestBody;
use crate::invoke::{Begun, Operation, headers};
use crate::reply::{Reply, ReplyBody, reply};
use crate::route::Matched;

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");

impl Api {
    pub(crate) async fn invoke_with_response_stream(
        &self,
        call: &Call<'_>,
        matched: &Matched<'_, '_>,
        body: &mut RequestBody,
    ) -> Result<Reply, Error> {
        let (invocation, mut trace) = match self.begin(call, matched, body, Operation::Stream).await? {
            Begun::Answered(reply) => return Ok(reply),
            Begun::Invocation(invocation, trace) => (invocation, trace),
        };
        let streamed = trace.watch(self.invoke.stream(invocation).await)?;
        trace.decided(streamed.sampled);
        trace.status(StatusCode::OK.as_u16());
        let header = trace.answer();
        let streamed = trace.follow(streamed);
        let events = Events { pieces: streamed.pieces, ended: false };
        let mut response = reply(StatusCode::OK, ReplyBody::Stream(Box::pin(events)));
        response.headers_mut().insert(CONTENT_TYPE, EVENT_STREAM);
        headers(response.headers_mut(), &streamed.executed_version, header);
        Ok(response)
    }
}

struct Events {
    pieces: Box<dyn Pieces>,
    ended: bool,
}

impl Body for Events {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let piece = ready!(this.pieces.poll_piece(context));
        this.ended = !matches!(piece, Ok(Piece::Chunk(_)));
        let message = match piece {
            Ok(Piece::Chunk(chunk)) => message("PayloadChunk", "application/octet-stream", chunk),
            Ok(Piece::End(completion)) => {
                message("InvokeComplete", "application/json", complete(&completion))
            }
            // Without its last event the client knows that something is missing.
            Err(error) => return Poll::Ready(Some(Err(io::Error::other(error)))),
        };
        Poll::Ready(Some(message.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

fn message(event: &'static str, media_type: &'static str, payload: Bytes) -> io::Result<Bytes> {
    let header =
        |name: &'static str, value: &'static str| Header::new(name, EventHeader::String(value.into()));
    // The names and the numbers of a message: about 150 bytes.
    let mut bytes = Vec::with_capacity(payload.len() + 160);
    let message = Message::new(payload)
        .add_header(header(":event-type", event))
        .add_header(header(":content-type", media_type))
        .add_header(header(":message-type", "event"));
    write_message_to(&message, &mut bytes).map_err(io::Error::other)?;
    Ok(bytes.into())
}

fn complete(completion: &Completion) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Complete<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        error_code: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_details: Option<std::borrow::Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        log_result: Option<String>,
    }
    let error = completion.error.as_ref();
    let complete = Complete {
        error_code: error.map(|(kind, _)| kind.as_str()),
        error_details: error.map(|(_, details)| String::from_utf8_lossy(details)),
        log_result: completion.log_tail.as_ref().map(|tail| STANDARD.encode(tail)),
    };
    serde_json::to_vec(&complete).expect("only strings").into()
}
