//! lambkin's own paths: how it is, and what links to code give.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, VARY};
use http::request::Parts;
use http::{Method, StatusCode};
use lambkin_model::Error;
use lambkin_model::figure::{Figure, Figures};

use crate::api::Api;
use crate::callers::Door;
use crate::code_link;
use crate::coding::takes_gzip;
use crate::figures_page;
use crate::gate;
use crate::own;
use crate::prometheus;
use crate::reply::{Reply, ReplyBody, json, reply};

const HEALTH: &str = "/_lambkin/health";
/// How the machine is.
const MACHINE: &str = "/_lambkin/machine";
const QUEUES: &str = "/_lambkin/queues";
/// What waits to be run.
const EVENTS: &str = "/_lambkin/events";
/// Where Prometheus looks.
const METRICS: &str = "/metrics";
/// The same as JSON.
const FIGURES: &str = "/_lambkin/figures";
/// As whom lambkin sees who asks.
const CALLER: &str = "/_lambkin/caller";

/// Whether a path is lambkin's own.
pub(crate) fn is_own(path: &str) -> bool {
    path == METRICS || path.starts_with("/_lambkin/")
}

/// lambkin's own paths that need no signature: what is said there is no secret, or the path itself is.
pub(crate) fn is_open(path: &str) -> bool {
    path == HEALTH || path.starts_with(own::SAMPLES) || path.starts_with(code_link::PATH)
}

fn only_read() -> Reply {
    let mut response = reply(StatusCode::METHOD_NOT_ALLOWED, ReplyBody::Bytes(Bytes::new()));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

impl Api {
    /// lambkin's own paths.
    pub(crate) async fn own_path(
        &self,
        parts: &Parts,
        path: &str,
        door: &Door,
        written: &[u8],
    ) -> Result<Reply, Error> {
        if let Some(answer) = self.own_resource(parts, path, written).await {
            return answer;
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return Ok(only_read());
        }
        if path == HEALTH {
            return Ok(json(StatusCode::OK, &serde_json::json!({ "status": "ok" })));
        }
        if path == MACHINE {
            return Ok(self.machine());
        }
        if path == QUEUES {
            return self.queues_page().await;
        }
        if path == EVENTS {
            return self.events_page().await;
        }
        if path == METRICS {
            return self.metrics_page(parts).await;
        }
        if path == FIGURES {
            return Ok(json(StatusCode::OK, &figures_page::page(&self.figures().await?)));
        }
        if path == CALLER {
            let (caller, unread) = self.caller(parts, door, None)?;
            unread.check(b"")?;
            let said = caller.map_or(serde_json::json!({}), |caller| {
                let function = caller.function.qualified_arn(&caller.version);
                serde_json::json!({ "function": function, "role": caller.role })
            });
            return Ok(json(StatusCode::OK, &said));
        }
        match path.strip_prefix(code_link::PATH) {
            Some(token) => self.download(token).await,
            None => Err(Error::UnknownOperation(format!("lambkin has no {path}"))),
        }
    }

    /// What came in by the listener for scrapers. Where that is on loopback, pages of names that were rebound to it are sent
    /// away, whether there are keys or not: nobody signs there. Elsewhere everybody who can reach it may read it, by any name.
    pub(crate) async fn metrics_door(&self, parts: &Parts, door: &Door) -> Result<Reply, Error> {
        gate::host(parts, self.config.listen, door, !door.address.is_loopback())?;
        let path = parts.uri.path();
        if path != METRICS {
            return Err(Error::UnknownOperation(format!("There is no {path} here, but {METRICS}.")));
        }
        match parts.method {
            Method::GET | Method::HEAD => self.metrics_page(parts).await,
            _ => Ok(only_read()),
        }
    }

    /// Packed for whom takes it so, as Prometheus does: the text of 1,000 functions is 4 MB.
    async fn metrics_page(&self, parts: &Parts) -> Result<Reply, Error> {
        let figures = self.figures().await?;
        let packed = takes_gzip(parts);
        let made = tokio::task::spawn_blocking(move || {
            let text = prometheus::text(&figures);
            if !packed {
                return Ok(Bytes::from(text));
            }
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            packer.write_all(text.as_bytes())?;
            packer.finish().map(Bytes::from)
        });
        let failed = |error: &dyn std::error::Error| Error::Service(error.to_string());
        let body = made.await.map_err(|error| failed(&error))?.map_err(|error: io::Error| failed(&error))?;
        let mut response = reply(StatusCode::OK, ReplyBody::Bytes(body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(prometheus::CONTENT_TYPE));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if packed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(response)
    }

    /// All that this lambkin counts.
    async fn figures(&self) -> Result<Vec<Figure>, Error> {
        let mut figures = self.events.figures().await?;
        figures.extend(self.metrics.figures());
        figures.extend(self.traces.figures());
        figures.extend(self.figures.iter().flat_map(|counts| counts.figures()));
        let functions = self.control.count_functions();
        figures.push(Figure::gauge("lambkin_functions", "Functions, of all regions.", &[], functions));
        Ok(figures)
    }

    async fn download(&self, token: &str) -> Result<Reply, Error> {
        let Some(sha256) = self.links.read(token, crate::functions::now()) else {
            return Err(Error::AccessDenied("The link is not valid or has expired.".into()));
        };
        let gone = || Error::ResourceNotFound("The deployment package is no longer kept.".into());
        let path = self.control.code_zip(sha256).ok_or_else(gone)?;
        let file = tokio::fs::File::open(path).await.map_err(|_| gone())?;
        let length = file.metadata().await.map_err(|error| Error::Service(error.to_string()))?.len();
        let mut response = reply(StatusCode::OK, ReplyBody::File { file, left: length });
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        Ok(response)
    }
}
