//! AWS Lambda's quotas as lambkin keeps them. Sources: AWS's quota page and the recorded answers.

/// Largest synchronous request payload: 6 MB.
pub const INVOKE_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;
/// Largest payload of an asynchronous invocation, unless configured: 1 MB since October 2025.
pub const EVENT_PAYLOAD_BYTES: usize = 1024 * 1024;
/// Largest payload of the old InvokeAsync: 256 KB.
pub const INVOKE_ASYNC_PAYLOAD_BYTES: usize = 256 * 1024;
/// Largest result of a buffered invocation: 6 MB and 100 bytes (recorded: `6291556 bytes`).
pub const RESPONSE_BYTES: usize = INVOKE_PAYLOAD_BYTES + 100;
/// Largest streamed response: 200 MB.
pub const STREAMED_RESPONSE_BYTES: usize = 200 * 1024 * 1024;
/// Of a streamed response, what AWS passes on as fast as it can: 6 MB.
pub const STREAM_BURST_BYTES: u64 = 6 * 1024 * 1024;
/// What it passes on in a second after that: 2 MB.
pub const STREAM_BYTES_PER_SECOND: u64 = 2 * 1024 * 1024;
/// Largest body of `CreateFunction` and `UpdateFunctionCode` (recorded).
pub const CODE_REQUEST_BYTES: usize = 70_167_211;
/// Largest deployment package, zipped: 50 MB.
pub const ZIPPED_BYTES: u64 = 52_428_800;
/// Largest deployment package, unzipped: 250 MB, counted as written.
pub const UNZIPPED_BYTES: u64 = 262_144_000;
/// Most layers of a function.
pub const LAYERS: usize = 5;
/// Most entries of a deployment package. lambkin's own bound: AWS's comes from the unzipped size.
pub const ZIP_ENTRIES: usize = 100_000;
/// Largest body of any other control-plane request. lambkin's own bound.
pub const REQUEST_BYTES: usize = 1024 * 1024;
/// Largest JSON text of a function's environment variables: 4 KB.
pub const VARIABLES_BYTES: usize = 4096;
/// Largest `X-Amz-Client-Context`, in base64 characters.
pub const CLIENT_CONTEXT_BYTES: usize = 3583;
/// Largest single log event: 1 MB.
pub const LOG_EVENT_BYTES: usize = 1024 * 1024;
/// The end of the log that `LogType=Tail` returns: 4 KB.
pub const LOG_TAIL_BYTES: usize = 4096;
/// Concurrent executions of an account, unless configured.
pub const CONCURRENT_EXECUTIONS: usize = 1000;
/// Concurrent executions that must stay unreserved, where the account has as many.
pub const UNRESERVED_CONCURRENT_EXECUTIONS: usize = 100;
/// Code of all functions of a region together: 75 GB. AWS's number; lambkin's bound is the disk.
pub const TOTAL_CODE_BYTES: u64 = 80_530_636_800;
/// Time limit of an init ahead of the first invocation, in microseconds.
pub const INIT_MICROS: u64 = 10_000_000;
/// Most space in `/tmp`, in megabytes.
pub const EPHEMERAL_STORAGE_MB: u32 = 10_240;
/// Most memory of a function, in megabytes.
pub const MEMORY_MB: u32 = 10_240;
/// Longest function timeout, in seconds.
pub const TIMEOUT_SECONDS: u32 = 900;
