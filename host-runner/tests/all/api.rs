//! The server API as `docs/operating.md` has it, and dead letters with a server, without one and without a
//! journal.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use serde_json::{Value, json};

use crate::serve::{Server, answer, event, eventually, later, until_read};
use crate::support::{FILE, Place, SECRET};

/// The requests of the table in `docs/operating.md`: method and path.
fn documented() -> BTreeSet<String> {
    let text = include_str!("../../../docs/operating.md");
    let requests = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let requests = requests.map(|(request, _)| request.split('?').next().unwrap_or(request));
    requests.filter(|one| one.starts_with("GET /") || one.starts_with("POST /")).map(str::to_owned).collect()
}

/// Sends a request as curl does; status and answer.
fn api(place: &Place, method: &str, target: &str, body: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(place.path("data/serve.sock")).expect("connected");
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let (status, body) = answer(&mut stream);
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

#[test]
fn a_server_answers_http_on_its_socket_as_the_command_line_does() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    until_read(&server);
    let sent = RefCell::new(BTreeSet::new());
    // Those that are answered with 200, as the document has them.
    let api = |place: &Place, method: &str, target: &str, body: &str| {
        let answer = api(place, method, target, body);
        if answer.0 == 200 {
            let path = target.split('?').next().unwrap_or(target);
            let path = path.replace("/tiny", "/NAME").replace("dead-letters/1", "dead-letters/ID");
            sent.borrow_mut().insert(format!("{method} {path}"));
        }
        answer
    };
    let post = |kind: &str, body: &str| api(&place, "POST", &format!("/connections/tiny/{kind}"), body);
    assert_eq!(api(&place, "GET", "/connections", ""), (200, json!({ "connections": ["tiny"] })));
    assert_eq!(api(&place, "GET", "/health", "").1["connections"][0]["connection"], "tiny");
    let grant = json!({ "grant": "{\"code\": \"good-code\"}" }).to_string();
    assert_eq!(post("authorize", &grant), (200, Value::Null));
    assert_eq!(post("check", "").1, place.json(&["check"], 0)["items"]);
    let (status, tables) = post("discover", "");
    assert_eq!((status, &tables[0]["name"], &tables[1]["name"]), (200, &json!("things"), &json!("pairs")));
    let (status, counts) = post("count", "{\"tables\": [\"Things\"]}");
    assert_eq!((status, &counts[0]["rows"]), (200, &json!(3)));
    assert_eq!(post("count", "{}").1.as_array().map(Vec::len), Some(2));
    let echo = json!({ "name": "echo", "arguments": "{\"a\": 1}" }).to_string();
    assert_eq!(post("invoke", &echo).1, place.json(&["invoke", "echo", "{\"a\": 1}"], 0));
    assert_eq!(post("state", "{}").1["authorized"], json!(true));
    assert_eq!(post("reset", "{\"tables\": [\"things\"]}"), (200, json!(["things"])));
    let public = json!({ "public_url": format!("http://{}", server.address) }).to_string();
    assert_eq!(post("subscribe", &public), (200, Value::Null));
    assert_eq!(post("rotate-url", "{\"grace_ms\": 0}"), (200, json!("renewing")));
    assert_eq!(post("unsubscribe", ""), (200, Value::Null));
    assert_eq!(post("delete-session", ""), (200, json!(true)));
    server.deliver(&place, &json!("nonsense"));
    let listed = || api(&place, "GET", "/dead-letters?connection=tiny&after=0", "").1["dead_letters"].clone();
    eventually("a dead letter", || listed()[0]["id"] == 1);
    assert_eq!(api(&place, "GET", "/dead-letters/1?connection=tiny", "").1["body"], "\"nonsense\"");
    let replayed = api(&place, "POST", "/dead-letters/replay", "{\"ids\": [1]}");
    assert_eq!(replayed, (200, json!({ "replayed": [1] })));
    eventually("its next failure", || listed()[0]["id"] == 2);
    let all = json!({ "all": true, "connection": "tiny" }).to_string();
    assert_eq!(api(&place, "POST", "/dead-letters/drop", &all), (200, json!({ "dropped": [2] })));
    assert_eq!(*sent.borrow(), documented(), "every request was answered");

    let error = |answer: (u16, Value)| (answer.0, answer.1["error"]["kind"].clone());
    assert_eq!(error(post("check", "nonsense")), (400, json!("config")));
    assert_eq!(error(post("explode", "")), (404, json!("not-found")));
    assert_eq!(error(post("reset", "{\"tables\": [\"nothing\"]}")), (404, json!("not-found")));
    assert_eq!(error(api(&place, "GET", "/", "")), (404, json!("not-found")));
    let (status, other) = api(&place, "POST", "/connections/other/check", "");
    assert_eq!((status, &other["error"]["code"]), (404, &json!("not-open")));
    let expired = json!({ "grant": "{\"code\": \"expired-code\"}" }).to_string();
    for (method, target, body, status) in [
        ("GET", "/connections/tiny/check", "", 404),
        ("POST", "/health", "", 404),
        ("GET", "/dead-letters/9", "", 404),
        ("GET", "/dead-letters/1?connection=other", "", 404),
        ("GET", "/dead-letters?after=first", "", 400),
        ("POST", "/dead-letters/replay", "{\"ids\": [9]}", 404),
        ("POST", "/dead-letters/drop", "", 400),
        ("POST", "/connections/tiny/authorize", &expired, 403),
    ] {
        assert_eq!(api(&place, method, target, body).0, status, "{method} {target}");
    }
    let large = "x".repeat((1 << 20) + 1);
    assert_eq!(error(post("check", &large)), (400, json!("config")));
    let leak = json!({ "name": "echo", "arguments": json!({ "a": SECRET }).to_string() }).to_string();
    assert!(!post("invoke", &leak).1.to_string().contains(SECRET));
    server.stop();
    assert!(!place.path("data/serve.sock").exists(), "a socket is left");
}

#[test]
fn a_client_that_is_silent_or_leaves_delays_nobody() {
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    let connect = || UnixStream::connect(place.path("data/serve.sock")).expect("connected");
    let _silent: Vec<_> = (0..20).map(|_| connect()).collect();
    for _ in 0..20 {
        let mut leaves = connect();
        leaves
            .write_all(b"POST /connections/tiny/check HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
            .expect("sent");
    }
    place.expect(&["state", "show"], 0);
    server.stop();
}

#[test]
fn a_client_of_another_user_is_refused_also_where_the_modes_of_files_let_it_through() {
    if std::fs::metadata("/proc/self").expect("found").uid() != 0 {
        eprintln!("left out: only root may become another user");
        return;
    }
    let place = Place::new("rows = 3");
    let server = Server::start(&place);
    until_read(&server);
    let socket = place.path("data/serve.sock");
    for opened in socket.ancestors().take(3) {
        std::fs::set_permissions(opened, Permissions::from_mode(0o777)).expect("opened");
    }
    let code = "import socket, sys\nstream = socket.socket(socket.AF_UNIX)\nstream.connect(sys.argv[1])\n\
                try:\n stream.sendall(b'GET /connections HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n \
                print(len(stream.recv(1)))\nexcept OSError:\n print(0)";
    let nobody = Command::new("python3").args(["-c", code]).arg(&socket).uid(65_534).gid(65_534).output();
    let nobody = nobody.expect("python3");
    assert_eq!(String::from_utf8_lossy(&nobody.stdout), "0\n", "{nobody:?}");
    assert_eq!(api(&place, "GET", "/connections", "").0, 200);
    server.stop();
}

/// Two dead letters.
fn with_dead_letters(place: &Place) -> Server {
    let server = Server::start(place);
    until_read(&server);
    server.deliver(place, &json!("nonsense"));
    server.deliver(place, &json!("rubbish"));
    eventually("two dead letters", || server.metric("dead_letters{") == Some(2.0));
    server
}

/// Requests that change nothing; `other.toml` has another connection.
const QUESTIONS: [(&str, &[&str], i32); 6] = [
    (FILE, &["dead-letters", "list"], 0),
    (FILE, &["dead-letters", "show", "1"], 0),
    (FILE, &["dead-letters", "show", "9"], 6),
    ("other.toml", &["dead-letters", "list"], 0),
    ("other.toml", &["dead-letters", "show", "1"], 6),
    ("other.toml", &["dead-letters", "drop", "1"], 6),
];

#[test]
fn dead_letters_are_the_same_with_and_without_a_server() {
    let place = Place::new("rows = 3");
    let file = std::fs::read_to_string(place.path(FILE)).expect("read");
    std::fs::write(place.path("other.toml"), file.replace("\"tiny\"", "\"other\"")).expect("written");
    let server = with_dead_letters(&place);
    let ask = |(file, arguments, code): &(&str, &[&str], i32)| {
        let plain = place.expect_of(file, arguments, *code);
        let json = place.expect_of(file, &[*arguments, &["--json"]].concat(), *code);
        (plain.stdout, plain.stderr, json.stdout)
    };
    let served: Vec<_> = QUESTIONS.iter().map(ask).collect();
    server.stop();
    for (served, question) in served.iter().zip(&QUESTIONS) {
        assert_eq!(served, &ask(question), "{question:?}");
    }
    let server = Server::start(&place);
    assert_eq!(place.json(&["dead-letters", "replay", "1"], 0), json!({ "replayed": [1] }));
    eventually("its next failure", || {
        let list = api(&place, "GET", "/dead-letters?connection=tiny", "").1;
        list["dead_letters"].as_array().is_some_and(|all| all.len() == 2 && all[1]["id"] == 3)
    });
    let (status, shown) = api(&place, "GET", "/dead-letters/3", "");
    assert_eq!((status, &shown["cause"], &shown["body"]), (200, &json!("refused"), &json!("\"nonsense\"")));
    assert_eq!(api(&place, "POST", "/dead-letters/drop", "{\"ids\": [3]}"), (200, json!({ "dropped": [3] })));
    assert_eq!(api(&place, "POST", "/dead-letters/drop", "{}").0, 400);
    assert_eq!(place.json(&["dead-letters", "drop", "--all"], 0), json!({ "dropped": [2] }));
    server.stop();
}

#[test]
fn without_a_journal_every_command_answers_in_the_same_shape() {
    let place = Place::new("");
    for (arguments, code, answer) in [
        (&["dead-letters", "list"][..], 0, json!({ "dead_letters": [] })),
        (&["dead-letters", "replay", "--all"], 0, json!({ "replayed": [] })),
        (&["dead-letters", "drop", "--all"], 0, json!({ "dropped": [] })),
        (&["dead-letters", "clear", "gone"], 0, json!({ "records": 0 })),
    ] {
        assert_eq!(place.json(arguments, code), answer, "{arguments:?}");
    }
    place.expect(&["dead-letters", "show", "1"], 6);
    place.expect(&["dead-letters", "replay", "1"], 6);
    assert!(!place.path("data/journal.db").exists(), "a journal was created");
    // One that a server used is empty afterward, and the answers are the same.
    let server = Server::start(&place);
    server.deliver(&place, &event("things", "9", "create", later()));
    server.stop();
    assert_eq!(place.json(&["dead-letters", "drop", "--all"], 0), json!({ "dropped": [] }));
    // Folders that are no connection's get no files.
    let files = || place.files().into_iter().map(|(path, _)| path).collect::<BTreeSet<_>>();
    let before = files();
    for name in ["..", ".", "cache"] {
        assert!(place.path("data").join(name).is_dir(), "{name}");
        assert_eq!(place.json(&["dead-letters", "clear", name], 0), json!({ "records": 0 }));
        place.json(&["dead-letters", "move", name], 0);
    }
    assert_eq!(files(), before);
}
