//! A bare HTTP/1.1 client for loopback: one kept connection, one request at a time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::tools::Result;

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer's status and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// A whole request, as bytes.
pub(crate) fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         X-Amz-Date: 20260101T000000Z\r\nUser-Agent: lambkin-bench\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKIA0000000000000000/20260101/us-east-1/lambda/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, Signature={:064}\r\n\r\n",
        body.len(),
        0
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))
            .map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(|error| error.to_string())?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).map_err(|error| error.to_string())?;
        self.buffer.clear();
        let mut scratch = [0; 16 * 1024];
        let (head, length) = loop {
            let read = self.stream.read(&mut scratch).map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            self.buffer.extend_from_slice(&scratch[..read]);
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break (end + 4, content_length(&self.buffer[..end])?);
            }
        };
        while self.buffer.len() < head + length {
            let read = self.stream.read(&mut scratch).map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            self.buffer.extend_from_slice(&scratch[..read]);
        }
        let status = std::str::from_utf8(&self.buffer[9..12]).ok().and_then(|text| text.parse().ok());
        let status = status.ok_or("not an HTTP answer")?;
        Ok(Answer { status, body: self.buffer[head..head + length].to_vec() })
    }

    /// As [`send`](Self::send), and anything but 2xx is an error.
    pub(crate) fn call(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        let answer = self.send(request)?;
        if answer.status / 100 == 2 {
            Ok(answer.body)
        } else {
            Err(format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)))
        }
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
