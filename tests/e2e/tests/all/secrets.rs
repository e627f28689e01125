//! No secret in anything that is written: outputs, logs, data folder, targets, the URLs that the source sees.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use desk_simulator::{GRANT_CODE, Options, Simulator};

use crate::support::process::Run;
use crate::support::{ConnectionFile, Setup, sizes};

const SECRET: &str = "planted-secret-0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// One HTTP exchange with the simulator, by hand.
fn exchange(simulator: &Simulator, request: &str) -> String {
    let address = simulator.url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).expect("the simulator");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// A proxy that forwards and records everything, so that the test knows the tokens.
mod wire {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};

    /// Bytes of both directions.
    pub(super) type Tape = Arc<Mutex<Vec<u8>>>;

    fn copy(mut from: TcpStream, mut to: TcpStream, tape: &Tape) {
        let mut buffer = [0; 16_384];
        while let Ok(length) = from.read(&mut buffer) {
            if length == 0 || to.write_all(&buffer[..length]).is_err() {
                break;
            }
            tape.lock().expect("the tape").extend_from_slice(&buffer[..length]);
        }
        // The other side may have closed first.
        let _ = to.shutdown(Shutdown::Write);
    }

    /// Listens and passes on to `target`; answers its own address. Lives as long as the test's process.
    pub(super) fn tap(target: &str) -> (String, Tape) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (tape, target) = (Tape::default(), target.to_owned());
        let kept = Arc::clone(&tape);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let pairs = [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))];
                for (from, to) in pairs {
                    let (from, to, tape) =
                        (from.expect("a socket"), to.expect("a socket"), Arc::clone(&kept));
                    std::thread::spawn(move || copy(from, to, &tape));
                }
            }
        });
        (address, tape)
    }
}

/// Every token that went over the wire.
fn tokens(tape: &wire::Tape) -> Vec<String> {
    let text = String::from_utf8_lossy(&tape.lock().expect("the tape")).into_owned();
    let mut found = Vec::new();
    for before in ["\"access_token\":\"", "\"refresh_token\":\""] {
        found.extend(text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
    }
    found.sort();
    found.dedup();
    found
}

/// Searches bytes for secrets.
fn search(place: &str, bytes: &[u8], secrets: &[String], found: &mut Vec<String>) {
    for secret in secrets {
        if bytes.windows(secret.len()).any(|window| window == secret.as_bytes()) {
            found.push(format!("{place}: {}…", &secret[..secret.len().min(16)]));
        }
    }
}

/// Searches every file, except those that a person wrote.
fn search_files(folder: &Path, secrets: &[String], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            search_files(&path, secrets, found);
        } else if path.extension().is_none_or(|extension| extension != "toml") {
            let bytes = std::fs::read(&path).expect("a file");
            search(&path.display().to_string(), &bytes, secrets, found);
        }
    }
}

#[test]
fn no_secret_is_written_anywhere() {
    let options = Options { sizes: sizes(40), client_secret: SECRET.to_owned(), ..Options::default() };
    let setup = Setup::new(options);
    let (address, tape) = wire::tap(setup.simulator.url().trim_start_matches("http://"));
    let file = |alter: &dyn Fn(ConnectionFile) -> ConnectionFile| {
        let file = ConnectionFile::of(&setup.simulator).allow(&address);
        let url = format!("http://{address}");
        alter(file.config_text("desk_url", &url).config_text("accounts_url", &url)).render()
    };
    setup.write("a.toml", &file(&|file| file));
    setup.write("lines.toml", &file(&|file| file.named("lines").jsonl()));
    setup.write("wrong.toml", &file(&|file| file.named("wrong").config_text("client_id", "1000.NOBODY")));
    setup.write("bad.toml", &file(&|file| file.named("bad").config("color", "1")));
    setup.write("closed.toml", &file(&|file| file.named("closed").deny_all()));
    setup.write("env.toml", &file(&|file| file.named("env").config_text("client_secret", "${E2E_SECRET}x")));
    let second = "1000.simcode.second";
    let body = format!("{{\"code\":\"{second}\"}}");
    exchange(
        &setup.simulator,
        &format!(
            "POST /_admin/codes HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    let mut runs: Vec<Run> = Vec::new();
    for format in ["text", "json"] {
        let loud = ["-vvv", "--log-format", format, "--data", "D"];
        let mut run = |words: &[&str]| runs.push(setup.raw(&[words, &loud].concat()));
        let code = if format == "text" { GRANT_CODE } else { second };
        let connection = if format == "text" { "a.toml" } else { "lines.toml" };
        run(&["authorize", "--code", code, "-c", connection]);
        run(&["authorize", "--code", code, "-c", connection, "--json"]);
        for name in ["wrong.toml", "bad.toml", "closed.toml", "env.toml"] {
            run(&["authorize", "--code", "1000.planted.code.0123456789", "-c", name]);
            run(&["sync", "-c", name, "--json"]);
        }
        for words in [
            ["inspect"].as_slice(),
            &["inspect", "--json"],
            &["spec"],
            &["spec", "--json"],
            &["init"],
            &["check"],
            &["check", "--json"],
            &["discover"],
            &["count", "--json"],
            &["sync"],
            &["sync", "--full-refresh", "--json"],
            &["state", "show"],
            &["state", "show", "--json"],
            &["invoke", "refresh-token", "--json"],
            &["invoke", "no-such"],
            &["sync", "--table", "cats"],
        ] {
            run(&[words, &["-c", connection]].concat());
        }
        setup.simulator.expire_tokens();
        run(&["sync", "-c", connection]);
        setup.simulator.set_scopes(&["Desk.basic.READ"]);
        run(&["sync", "-c", connection]);
        setup.simulator.set_scopes(&[
            "Desk.basic.ALL",
            "Desk.settings.ALL",
            "Desk.search.ALL",
            "Desk.tickets.ALL",
        ]);
    }
    setup.simulator.revoke_tokens();
    runs.push(setup.raw(&["sync", "-c", "a.toml", "--data", "D", "-vvv"]));
    let good = runs.iter().filter(|run| run.code() == 0).count();
    assert!(good > 20 && runs.len() - good > 10, "{good} of {} runs succeeded", runs.len());

    let mut secrets = tokens(&tape);
    assert!(secrets.len() >= 6, "two refresh tokens and some access tokens: {secrets:?}");
    secrets.extend([SECRET, GRANT_CODE, second, "1000.planted.code.0123456789"].map(str::to_owned));
    let mut found = Vec::new();
    for run in &runs {
        // The command line is the person's own; only what the program wrote counts.
        search(&format!("stdout of {}", run.line), run.stdout.as_bytes(), &secrets, &mut found);
        search(&format!("stderr of {}", run.line), run.stderr.as_bytes(), &secrets, &mut found);
    }
    search_files(setup.folder(), &secrets, &mut found);
    let log = exchange(&setup.simulator, "GET /_admin/log HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(log.contains("/api/v1/tickets"), "{log}");
    search("URLs", log.as_bytes(), &secrets, &mut found);
    let wire = String::from_utf8_lossy(&tape.lock().expect("the tape")).into_owned();
    let targets = wire.split(" HTTP/1.1\r\n").filter_map(|before| before.rsplit(' ').next());
    let targets: Vec<&str> = targets.filter(|target| target.starts_with('/')).collect();
    assert!(targets.len() > 100, "{} requests", targets.len());
    for target in targets {
        search("request lines", target.as_bytes(), &secrets, &mut found);
    }
    assert!(found.is_empty(), "secrets in:\n  {}", found.join("\n  "));
}

#[test]
fn the_search_for_secrets_finds_them() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("x.db"), [b"\0\x01", SECRET.as_bytes()].concat()).expect("a file");
    let mut found = Vec::new();
    search_files(folder.path(), &[SECRET.to_owned()], &mut found);
    assert_eq!(found.len(), 1);
}

#[test]
fn keys_and_sessions_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::new(Options { sizes: sizes(5), ..Options::default() });
    setup.raw(&["authorize", "--code", GRANT_CODE, "-c", "a.toml", "--data", "fresh"]).exits(0);
    for name in ["fresh", "fresh/key", "fresh/demo", "fresh/cache"] {
        let mode = std::fs::metadata(setup.path(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}

#[test]
fn secrets_come_from_the_environment_and_from_files() {
    let options = Options { sizes: sizes(5), client_secret: SECRET.to_owned(), ..Options::default() };
    let setup = Setup::with(options, |file| file.config_text("client_secret", "${E2E_CLIENT_SECRET}"));
    let words = ["authorize", "--code", GRANT_CODE];
    setup.host_with_env(&words, &[("E2E_CLIENT_SECRET", SECRET)]).exits(0);
    setup.host_with_env(&["sync"], &[("E2E_CLIENT_SECRET", SECRET)]).exits(0);
    setup.write("secret.txt", &format!("{SECRET}\n"));
    setup.reconfigure(|file| file.without("client_secret").config_text("client_secret_file", "secret.txt"));
    setup.host(&["invoke", "refresh-token"]).exits(0);
}
