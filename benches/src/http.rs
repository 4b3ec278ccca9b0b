//! A bare HTTP/1.1 client for loopback: one kept connection, one request at a time, waited for or polled.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::Value;

use crate::Result;

/// The event of invocations.
pub(crate) const EVENT: &[u8] = br#"{"key1":"value1","key2":"value2","key3":"value3"}"#;

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A whole request, as bytes.
pub(crate) fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    request_with(method, path, "Content-Type: application/json\r\n", body)
}

/// An invocation.
pub(crate) fn invoke_request(name: &str) -> Vec<u8> {
    request("POST", &format!("/2015-03-31/functions/{name}/invocations"), EVENT)
}

/// An asynchronous invocation.
pub(crate) fn event_request(name: &str, event: &[u8]) -> Vec<u8> {
    let path = format!("/2015-03-31/functions/{name}/invocations");
    request_with("POST", &path, "Content-Type: application/json\r\nX-Amz-Invocation-Type: Event\r\n", event)
}

/// A call of SQS.
pub(crate) fn sqs_request(operation: &str, body: &Value) -> Vec<u8> {
    let headers =
        format!("Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: AmazonSQS.{operation}\r\n");
    request_with("POST", "/", &headers, body.to_string().as_bytes())
}

/// A call of CloudWatch Logs.
pub(crate) fn logs_request(operation: &str, body: &Value) -> Vec<u8> {
    let headers =
        format!("Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Logs_20140328.{operation}\r\n");
    request_with("POST", "/", &headers, body.to_string().as_bytes())
}

fn request_with(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let service = match headers {
        sqs if sqs.contains("AmazonSQS") => "sqs",
        logs if logs.contains("Logs_20140328") => "logs",
        _ => "lambda",
    };
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\
         X-Amz-Date: 20260101T000000Z\r\nUser-Agent: lambkin-bench\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKIA0000000000000000/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, Signature={:064}\r\n\r\n",
        body.len(),
        0
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A call of Lambda with a true signature of now.
pub(crate) fn signed_request(
    method: &str,
    path: &str,
    body: &[u8],
    id: &str,
    secret: &str,
) -> Result<Vec<u8>> {
    let identity = aws_credential_types::Credentials::new(id, secret, None, None, "bench").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("lambda")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let url = format!("http://localhost{path}");
    let kind = ("content-type", "application/json");
    let signable = SignableRequest::new(method, &url, std::iter::once(kind), SignableBody::Bytes(body))
        .map_err(|error| error.to_string())?;
    let (instructions, _) = sign(signable, &parameters).map_err(|error| error.to_string())?.into_parts();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{}: {}\r\n", kind.0, kind.1);
    for (name, value) in instructions.headers() {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut bytes = format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    Ok(bytes)
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))
            .map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(|error| error.to_string())?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and does not wait for its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result {
        self.buffer.clear();
        self.stream.write_all(request).map_err(|error| error.to_string())
    }

    /// Reads once; the answer's body where it is complete. Anything but 2xx is an error.
    pub(crate) fn read(&mut self) -> Result<Option<&[u8]>> {
        let mut scratch = [0; 16 * 1024];
        let read = self.stream.read(&mut scratch).map_err(|error| error.to_string())?;
        if read == 0 {
            return Err("the server closed the connection".into());
        }
        self.buffer.extend_from_slice(&scratch[..read]);
        let Some(head) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let length = content_length(&self.buffer[..head])?;
        let Some(body) = self.buffer.get(head + 4..head + 4 + length) else { return Ok(None) };
        // After "HTTP/1.1 ".
        if self.buffer[9] == b'2' {
            Ok(Some(body))
        } else {
            let status = String::from_utf8_lossy(&self.buffer[9..12]);
            Err(format!("{status}: {}", String::from_utf8_lossy(body)))
        }
    }

    /// Sends a request and waits for the body of its answer.
    pub(crate) fn call(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        self.ask(request)?;
        loop {
            if let Some(body) = self.read()? {
                return Ok(body.to_vec());
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head).map_err(|error| error.to_string())?;
    for line in head.lines() {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            return value.trim().parse().map_err(|_| "a bad Content-Length".into());
        }
    }
    Ok(0)
}
