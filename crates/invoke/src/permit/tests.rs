use super::*;

fn key(name: &str) -> FunctionKey {
    FunctionKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
}

fn claims(reserved: Option<usize>, provisioned: &[(u64, usize)]) -> Claims {
    let provisioned = provisioned
        .iter()
        .map(|(number, count)| (Version::Published(*number), Claim { provisioned: *count, most: None }));
    Claims { reserved, versions: provisioned.collect() }
}

/// Running, of them unreserved, and reserved.
fn counts(permits: &Permits) -> (usize, usize, usize) {
    let counts = permits.account.lock();
    (counts.running, counts.unreserved_running, counts.reserved)
}

#[test]
fn what_runs_moves_with_its_function() {
    let permits = Permits::new(10);
    let f = permits.version(&key("f"), Version::Latest);
    let running = [f.acquire().unwrap(), f.acquire().unwrap()];
    assert_eq!(counts(&permits), (2, 2, 0));
    permits.changed(&key("f"), || Some(claims(Some(4), &[])));
    assert_eq!(counts(&permits), (2, 0, 4));
    permits.changed(&key("f"), || Some(claims(Some(1), &[])));
    assert_eq!(counts(&permits), (2, 0, 1));
    assert_eq!(f.acquire().unwrap_err(), ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded);
    // Deleted, and made again while both still run.
    permits.changed(&key("f"), || None);
    assert_eq!(counts(&permits), (2, 2, 0));
    permits.changed(&key("f"), || Some(claims(Some(3), &[])));
    let again = permits.version(&key("f"), Version::Latest).acquire().unwrap();
    assert_eq!(counts(&permits), (3, 2, 3));
    drop((running, again));
    assert_eq!(counts(&permits), (0, 0, 3));
    permits.changed(&key("f"), || Some(claims(None, &[])));
    assert_eq!((counts(&permits), permits.unreserved()), ((0, 0, 0), 10));
}

#[test]
fn peaks_are_of_the_time_since_the_last_look() {
    let permits = Permits::new(10);
    let (f, g) = (permits.version(&key("f"), Version::Latest), permits.version(&key("g"), Version::Latest));
    permits.changed(&key("g"), || Some(claims(Some(4), &[])));
    drop([f.acquire().unwrap(), f.acquire().unwrap()]);
    let stays = g.acquire().unwrap();
    let peaks = || {
        let (account, mut functions) = permits.peaks();
        functions.sort();
        (account, functions.into_iter().map(|(key, peak)| (key.name.to_string(), peak)).collect::<Vec<_>>())
    };
    assert_eq!(peaks(), ((2, 2), vec![("f".into(), 2), ("g".into(), 1)]));
    assert_eq!(peaks(), ((1, 0), vec![("g".into(), 1)]));
    drop(stays);
    assert_eq!(peaks().0, (1, 0));
    assert_eq!(peaks(), ((0, 0), vec![]));
}

#[test]
fn what_is_provisioned_is_set_aside() {
    use ThrottleReason::ConcurrentInvocationLimitExceeded as Account;
    use ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded as Own;
    let permits = Permits::new(10);
    permits.changed(&key("f"), || Some(claims(None, &[(1, 4)])));
    assert_eq!((counts(&permits), permits.unreserved()), ((0, 0, 4), 6));
    let other = permits.version(&key("g"), Version::Latest);
    let others: Vec<_> = (0..6).map(|_| other.acquire().unwrap()).collect();
    assert_eq!(other.acquire().unwrap_err(), Account);
    // Its `$LATEST` has no part in it, version 1 has all of it and no more.
    assert_eq!(permits.version(&key("f"), Version::Latest).acquire().unwrap_err(), Account);
    let one = permits.version(&key("f"), Version::Published(1));
    let own: Vec<_> = (0..4).map(|_| one.acquire().unwrap()).collect();
    assert_eq!((counts(&permits), one.acquire().unwrap_err()), ((10, 6, 4), Account));
    // Lowered, what runs beyond it is the account's.
    permits.changed(&key("f"), || Some(claims(None, &[(1, 1)])));
    assert_eq!(counts(&permits), (10, 9, 1));
    drop((others, own));
    assert_eq!(counts(&permits), (0, 0, 1));
    // Of a reservation, the others of the function have what is left.
    permits.changed(&key("f"), || Some(claims(Some(5), &[(1, 3)])));
    let latest = permits.version(&key("f"), Version::Latest);
    let two = [latest.acquire().unwrap(), latest.acquire().unwrap()];
    assert_eq!((counts(&permits), latest.acquire().unwrap_err()), ((2, 0, 5), Own));
    let three: Vec<_> = (0..3).map(|_| one.acquire().unwrap()).collect();
    assert_eq!((counts(&permits), one.acquire().unwrap_err()), ((5, 0, 5), Own));
    permits.changed(&key("f"), || None);
    assert_eq!(counts(&permits), (5, 5, 0));
    drop((two, three));
    assert_eq!(counts(&permits), (0, 0, 0));
}

#[test]
fn a_version_has_a_bound_of_its_own() {
    use ThrottleReason::ConcurrentInvocationLimitExceeded as Account;
    use ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded as Own;
    let permits = Permits::new(4);
    let bounded = |most| {
        let claim = Claim { provisioned: 0, most };
        let versions = BTreeMap::from([(Version::Published(1), claim)]);
        permits.changed(&key("f"), || Some(Claims { reserved: None, versions }));
    };
    let (one, two) = (
        permits.version(&key("f"), Version::Published(1)),
        permits.version(&key("f"), Version::Published(2)),
    );
    bounded(Some(1));
    assert_eq!((counts(&permits), permits.unreserved()), ((0, 0, 0), 4), "nothing is set aside for it");
    let first = one.acquire().unwrap();
    assert_eq!(one.acquire().unwrap_err(), Own);
    drop(two.acquire().unwrap());
    // Raised and lowered while some run.
    bounded(Some(2));
    let second = one.acquire().unwrap();
    bounded(Some(1));
    drop(first);
    assert_eq!(one.acquire().unwrap_err(), Own);
    drop(second);
    drop(one.acquire().unwrap());
    bounded(Some(0));
    assert_eq!(one.acquire().unwrap_err(), Own);
    bounded(None);
    let all: Vec<_> = (0..4).map(|_| one.acquire().unwrap()).collect();
    assert_eq!(one.acquire().unwrap_err(), Account);
    drop(all);
    assert_eq!(counts(&permits), (0, 0, 0));
}

/// Run with `--run-ignored only`, in release.
#[test]
#[ignore = "measures, and holds nothing"]
fn measure_permits() {
    let permits = Permits::new(10);
    let f = permits.version(&key("f"), Version::Latest);
    let begin = std::time::Instant::now();
    for _ in 0..10_000_000 {
        drop(std::hint::black_box(f.acquire()));
    }
    println!("a permit and back: {:?}", begin.elapsed() / 10_000_000);
}
