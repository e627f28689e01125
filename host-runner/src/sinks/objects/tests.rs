//! A store that answers, refuses, forgets, is not there, or says nothing.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_server::{KEY, Mood, ObjectServer, SECRET};
use tokio::sync::Notify;

use super::{Objects, Seen, domain, used};
use crate::error::{Kind, Result};

fn open(url: &str) -> Objects {
    Objects::open(url, "sink.url", "s3://desk/acme", Arc::default()).expect("a client")
}

fn refusal(result: Result<()>) -> String {
    let error = result.expect_err("stored");
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    assert!(error.message.starts_with("s3://desk/acme: "), "{error}");
    assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    format!("{} | {}", error.message, error.hint.unwrap_or_default())
}

#[test]
fn every_region_that_is_admitted_is_the_same_place_at_amazon() {
    let place = |url: &str| used(url).map(|used| used.place);
    let plain = place("s3://desk/acme").expect("a place");
    assert_eq!(place("s3://desk/acme?region=eu-west-1"), Some(plain));
    assert_eq!(place("s3://desk/acme?region=x%40127.0.0.1:18555/"), None);
    assert_eq!(domain("eu-west-1").as_deref(), Some("amazonaws.com"));
    for elsewhere in ["x@127.0.0.1:18555/", "evil.example/", "evil.example#"] {
        assert_ne!(domain(elsewhere).as_deref(), Some("amazonaws.com"), "{elsewhere}");
    }
}

#[test]
fn objects_are_put_read_and_removed_under_the_prefix() {
    let server = ObjectServer::start();
    let objects = open(&server.url("acme/rows"));
    assert_eq!(objects.get("a/date=1/x").expect("read"), (None, Seen::default()));
    assert!(!objects.has("a/date=1/x").expect("known"));
    objects.put("a/date=1/x", vec![1, 2, 3]).expect("put");
    assert_eq!(server.objects()["acme/rows/a/date=1/x"], [1, 2, 3]);
    assert_eq!(objects.get("a/date=1/x").expect("read").0, Some(vec![1, 2, 3]));
    assert!(objects.has("a/date=1/x").expect("known"));
    objects.remove("a/date=1/x").expect("removed");
    objects.remove("a/date=1/x").expect("removed already");
    assert!(server.objects().is_empty());
    open(&server.url("")).put("x", vec![]).expect("put into the root");
    assert!(server.objects()["x"].is_empty());
}

#[test]
fn a_large_file_is_put_in_parts_and_is_the_same() {
    let server = ObjectServer::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    let bytes: Vec<u8> = (0..20_000_003_u32).map(|at| (at % 251) as u8).collect();
    std::fs::write(&file, &bytes).expect("written");
    open(&server.url("acme")).put_file("large", &file).expect("put");
    assert!(server.objects()["acme/large"] == bytes);
    assert!(server.requests().len() > 4, "{:?}", server.requests());
    std::fs::write(&file, "small").expect("written");
    open(&server.url("acme")).put_file("small", &file).expect("put");
    assert_eq!(server.objects()["acme/small"], *b"small");
}

#[test]
fn the_parts_of_a_file_that_cannot_be_put_are_removed() {
    let server = ObjectServer::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, vec![7; 20_000_000]).expect("written");
    server.set_mood(Mood::RefusesParts(403));
    let told = refusal(open(&server.url("acme")).put_file("large", &file));
    assert!(told.contains("s3:AbortMultipartUpload"), "{told}");
    assert!(
        server.requests().iter().any(|request| request.starts_with("DELETE ")),
        "{:?}",
        server.requests()
    );
    assert_eq!((server.uploads(), server.objects().len()), (0, 0));
}

#[test]
fn an_object_is_replaced_only_as_it_was_seen() {
    let server = ObjectServer::start();
    let [one, two] = [(); 2].map(|()| open(&server.url("acme")));
    let (_, none) = one.get("x").expect("read");
    let first = one.replace("x", vec![1], &none).expect("put");
    let told = refusal(two.replace("x", vec![2], &none).map(drop));
    assert!(told.contains("x has changed meanwhile"), "{told}");
    let (bytes, seen) = two.get("x").expect("read");
    assert_eq!((bytes, &seen), (Some(vec![1]), &first));
    let second = two.replace("x", vec![2], &seen).expect("put");
    refusal(one.replace("x", vec![3], &first).map(drop));
    // The first answer is lost, and the repetition finds the object changed: by itself.
    server.set_mood(Mood::ForgetsNextPut);
    two.replace("x", vec![4], &second).expect("put");
    assert_eq!(server.objects()["acme/x"], [4]);
}

#[test]
fn a_store_without_conditions_is_written_to_as_before() {
    let server = ObjectServer::start();
    server.set_mood(Mood::KnowsNoConditions);
    let objects = open(&server.url("acme"));
    let seen = objects.replace("x", vec![1], &Seen::default()).expect("put");
    let requests = server.requests().len();
    objects.replace("x", vec![2], &seen).expect("put");
    assert_eq!(server.requests().len(), requests + 1, "it is asked once");
    assert_eq!(server.objects()["acme/x"], [2]);
}

#[test]
fn a_failure_that_passes_is_retried_and_one_that_stays_is_reported_in_words() {
    let server = ObjectServer::start();
    let objects = open(&server.url("acme"));
    server.set_mood(Mood::RefusesNext(2, 500));
    objects.put("x", vec![1]).expect("put at the third attempt");
    for (mood, message) in [
        (Mood::Refuses(503, "SlowDown"), "SlowDown"),
        (Mood::Refuses(403, "AccessDenied"), "hint the keys need s3:GetObject"),
        (Mood::Refuses(404, "NoSuchBucket"), "hint create the bucket"),
        (Mood::Forgets, ""),
    ] {
        server.set_mood(mood);
        let refused = refusal(objects.put("y", vec![2])).replace(" | ", " hint ");
        assert!(refused.contains(message), "{mood:?}: {refused}");
    }
    assert_eq!(server.objects()["acme/y"], [2], "stored, and the answer was lost");
    server.set_mood(Mood::Well);
    objects.put("y", vec![2]).expect("put again");
    for (right, wrong) in [(KEY, "OTHER"), (SECRET, "another/secret")] {
        let stranger = server.url("acme").replace(right, wrong);
        assert!(refusal(open(&stranger).put("x", vec![1])).contains("the keys need"), "{wrong}");
    }
}

#[test]
fn a_store_that_is_not_there_or_says_nothing_does_not_hold_the_caller() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let url = format!("s3://id:{SECRET}@desk/acme?endpoint=http://{address}");
    let stop = Arc::new(Notify::new());
    let objects = Objects::open(&url, "sink.url", "s3://desk/acme", Arc::clone(&stop)).expect("a client");
    let started = Instant::now();
    std::thread::scope(|scope| {
        let put = scope.spawn(|| objects.put("x", vec![1]));
        let (mut connection, _) = listener.accept().expect("a connection");
        std::io::Read::read(&mut connection, &mut [0; 1]).expect("a request");
        stop.notify_one();
        assert!(refusal(put.join().expect("an end")).contains("the sink was closed"));
    });
    assert!(started.elapsed() < Duration::from_secs(60));
    drop(listener);
    let refused = refusal(open(&url).put("x", vec![1]));
    assert!(refused.contains("onnect"), "{refused}");
}
