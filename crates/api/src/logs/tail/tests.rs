use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use lambkin_observe::logs::{Logs, Put};
use lambkin_observe::{Config, GroupKey, LogStore};
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::callers::Serves;

#[test]
fn who_follows() {
    const OLDER: &str =
        "aws-cli/2.9.19 Python/3.11.2 Linux/6.1 source/x86_64.debian.12 prompt/off command/logs.tail";
    const NEWER: &str = "aws-cli/2.34.0 md/awscrt#0.31.0 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.14.3 \
         md/pyimpl#CPython m/FEATURES cfg/retry-mode#standard md/installer#exe sid/ed05ed9216f1 md/prompt#off \
         md/command#logs.tail";
    for (agent, reader) in [
        (OLDER.to_owned(), Some(Reader::Unsaid)),
        (NEWER.replace(" m/FEATURES", ""), Some(Reader::Unsaid)),
        (NEWER.replace("FEATURES", "Z,N,E,b"), Some(Reader::Follows)),
        // Ids that are longer than a letter have one in them.
        (NEWER.replace("FEATURES", "N,AC,CA"), Some(Reader::Follows)),
        (NEWER.replace("FEATURES", "Z,N,C,b"), Some(Reader::Ends)),
        (NEWER.replace("FEATURES", "C"), Some(Reader::Ends)),
        (NEWER.replace("FEATURES", "Z,N").replace("logs.tail", "logs.filter-log-events"), None),
        (NEWER.replace("FEATURES", "Z,N").replace("logs.tail", "logs.tailed"), None),
        ("Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 m/N,b,Z,E,e cfg/retry-mode#standard".into(), None),
        (String::new(), None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, agent.parse().unwrap());
        assert_eq!(Reader::of(&headers), reader, "{agent}");
    }
    assert_eq!(Reader::of(&HeaderMap::new()), None);
}

/// A group with a line, and a client's connection.
struct World {
    desk: LogsDesk,
    door: Door,
    stop: watch::Sender<()>,
    filter: Filter,
    /// When the first line was written; the others come a millisecond apart.
    began: i64,
    _directory: TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let logs = Logs::new(Arc::new(LogStore::open(directory.path(), &Config::default(), None).unwrap()));
        let key = GroupKey {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            name: "/aws/lambda/f".into(),
        };
        let (stop, stopping) = watch::channel(());
        let door = Door { stopping, ..Door::test(IpAddr::V4(Ipv4Addr::LOCALHOST), Serves::All) };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let filter =
            Filter { key, streams: None, prefix: None, pattern: None, end: None, limit: None, newest: false };
        let began = i64::try_from(now.as_millis()).unwrap();
        let world = Self { desk: LogsDesk::new(logs), door, stop, filter, began, _directory: directory };
        world.change(|logs, key| logs.create_group(key, Default::default(), false)).await;
        world.change(|logs, key| logs.create_stream(key, "s")).await;
        world.put(0, "first").await;
        world
    }

    async fn change(&self, change: impl FnOnce(&Logs, &GroupKey) -> Result<(), LogsError> + Send + 'static) {
        let key = self.filter.key.clone();
        self.desk.run(move |logs| change(logs, &key)).await.unwrap();
    }

    async fn put(&self, after: i64, text: &str) {
        let event = Put { at: self.began + after, message: Bytes::copy_from_slice(text.as_bytes()) };
        self.change(|logs, key| logs.put(key, "s", vec![event]).map(|_| ())).await;
    }

    /// What the CLI is answered: texts and a token.
    async fn ask(&self, reader: Reader, start: i64, token: Option<&str>) -> (Vec<String>, Option<String>) {
        self.ask_for(&self.filter, reader, start, token).await.unwrap()
    }

    async fn ask_for(
        &self,
        filter: &Filter,
        reader: Reader,
        start: i64,
        token: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), LogsError> {
        let filter = Arc::new(filter.clone());
        let listed = self.desk.tail(&self.door, reader, filter, Some(self.began + start), token).await?;
        let texts = listed.items.iter().map(|found| String::from_utf8_lossy(&found.message).into_owned());
        Ok((texts.collect(), listed.next))
    }

    /// Asks on, does something once the answer is held back, and returns the answer.
    async fn meanwhile(
        &self,
        reader: Reader,
        token: &str,
        done: impl Future<Output = ()>,
    ) -> (Vec<String>, Option<String>) {
        let holds = self.desk.holds.available_permits();
        let done = async {
            while self.desk.holds.available_permits() == holds {
                tokio::task::yield_now().await;
            }
            done.await;
        };
        tokio::join!(self.ask(reader, 0, Some(token)), done).0
    }
}

fn texts<const N: usize>(of: [&str; N]) -> Vec<String> {
    of.map(str::to_owned).to_vec()
}

#[tokio::test(start_paused = true)]
async fn who_follows_is_answered_when_there_is_something_new() {
    let world = World::new().await;
    let (shown, token) = world.ask(Reader::Follows, 0, None).await;
    assert_eq!(shown, texts(["first"]));
    let begin = Instant::now();
    let (shown, token) = world.meanwhile(Reader::Follows, &token.unwrap(), world.put(1, "second")).await;
    assert_eq!((shown, begin.elapsed() < HOLD), (texts(["second"]), true));
    // Nothing comes: a token all the same, after a while.
    let begin = Instant::now();
    let (shown, token) = world.ask(Reader::Follows, 0, token.as_deref()).await;
    assert_eq!((shown, begin.elapsed() >= HOLD), (texts([]), true));
    assert!(begin.elapsed() < HOLD + Duration::from_secs(1));
    assert_eq!(world.desk.holds.available_permits(), super::super::HOLDS, "nobody waits any more");
    // Late, and older than what was shown.
    let token = token.unwrap();
    let (shown, _) = world.meanwhile(Reader::Follows, &token, world.put(0, "late")).await;
    assert_eq!(shown, texts(["late"]));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_match_wakes_nobody() {
    let world = World::new().await;
    let filter = Filter { pattern: Some("wanted".into()), ..world.filter.clone() };
    let begin = Instant::now();
    let ask = world.ask_for(&filter, Reader::Follows, 0, None);
    let come = async {
        world.put(1, "other").await;
        world.put(2, "wanted").await;
    };
    let (answer, ()) = tokio::join!(ask, come);
    assert_eq!((answer.unwrap().0, begin.elapsed() < HOLD), (texts(["wanted"]), true));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_follow_is_told_the_end_at_once() {
    let world = World::new().await;
    let begin = Instant::now();
    for _ in 0..3 {
        assert_eq!(world.ask(Reader::Ends, 0, None).await, (texts(["first"]), None));
        assert_eq!(world.ask(Reader::Ends, 1, None).await, (texts([]), None));
    }
    // Its pages have tokens.
    world.put(1, "second").await;
    let filter = Filter { limit: Some(1), ..world.filter.clone() };
    let (shown, token) = world.ask_for(&filter, Reader::Ends, 0, None).await.unwrap();
    assert_eq!(shown, texts(["first"]));
    let (shown, token) = world.ask_for(&filter, Reader::Ends, 0, token.as_deref()).await.unwrap();
    assert_eq!((shown, token), (texts(["second"]), None));
    assert!(begin.elapsed() < HOLD);
}

#[tokio::test(start_paused = true)]
async fn an_older_cli_follows_where_it_asks_on_after_the_end() {
    let world = World::new().await;
    world.put(5, "second").await;
    let end = (texts(["first", "second"]), None);
    assert_eq!(world.ask(Reader::Unsaid, 0, None).await, end);
    // One that begins, on the same connection, with what it is to begin with.
    assert_eq!(world.ask(Reader::Unsaid, 1, None).await, (texts(["second"]), None));
    // Late, with an older time than the CLI asks from.
    world.put(3, "late").await;
    let (shown, token) = world.ask(Reader::Unsaid, 5, None).await;
    assert_eq!(shown, texts(["late"]), "what it was not shown, and nothing twice");
    let (shown, _) = world.meanwhile(Reader::Unsaid, &token.unwrap(), world.put(6, "third")).await;
    assert_eq!(shown, texts(["third"]));
    // Of something else it is a beginning.
    world.ask(Reader::Unsaid, 0, None).await;
    let other = Filter { pattern: Some("third".into()), ..world.filter.clone() };
    assert_eq!(world.ask_for(&other, Reader::Unsaid, 6, None).await.unwrap(), (texts(["third"]), None));
}

#[tokio::test(start_paused = true)]
async fn too_many_are_answered_as_on_aws_and_lose_nothing() {
    let world = World::new().await;
    let (_, token) = world.ask(Reader::Follows, 0, None).await;
    let all = world.desk.holds.acquire_many(super::super::HOLDS as u32).await.unwrap();
    let begin = Instant::now();
    assert_eq!(world.ask(Reader::Follows, 0, token.as_deref()).await, (texts([]), None));
    assert!(begin.elapsed() < HOLD);
    // The CLI asks on in five seconds, from the newest event that it was shown.
    world.put(2, "second").await;
    world.put(-1, "too old").await;
    world.put(1, "late").await;
    let (shown, token) = world.ask(Reader::Follows, 0, None).await;
    assert_eq!(shown, texts(["late", "second"]));
    drop(all);
    let (shown, _) = world.meanwhile(Reader::Follows, &token.unwrap(), world.put(3, "third")).await;
    assert_eq!(shown, texts(["third"]));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_answered_when_lambkin_stops() {
    let world = World::new().await;
    let (_, token) = world.ask(Reader::Follows, 0, None).await;
    let begin = Instant::now();
    let stop = async {
        world.stop.send_replace(());
    };
    // An answer like any other, for a CLI that finds another lambkin in its place.
    let answer = world.meanwhile(Reader::Follows, token.as_deref().unwrap(), stop).await;
    assert_eq!((answer, begin.elapsed() < HOLD), ((texts([]), token), true));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_that_it_is_gone() {
    type Delete = fn(&Logs, &GroupKey) -> Result<(), LogsError>;
    let world = World::new().await;
    let begin = Instant::now();
    let of_stream = Filter { streams: Some(vec!["s".into()]), ..world.filter.clone() };
    let delete_stream: Delete = |logs, key| logs.delete_stream(key, "s");
    let delete_group: Delete = |logs, key| logs.delete_group(key);
    for (filter, delete, error) in [
        (&of_stream, delete_stream, LogsError::StreamNotFound),
        (&world.filter, delete_group, LogsError::GroupNotFound),
    ] {
        world.change(|logs, key| logs.create_stream(key, "s").or(Ok(()))).await;
        world.put(1, "another").await;
        let (_, token) = world.ask_for(filter, Reader::Follows, 0, None).await.unwrap();
        let deleted = async {
            while world.desk.holds.available_permits() == super::super::HOLDS {
                tokio::task::yield_now().await;
            }
            world.change(delete).await;
        };
        let ask = world.ask_for(filter, Reader::Follows, 0, token.as_deref());
        let (answer, ()) = tokio::join!(ask, deleted);
        assert_eq!(answer, Err(error));
    }
    assert!(begin.elapsed() < HOLD);
}
