//! The policy file (`--policy FILE`): bounds on connection files of less trusted authors.
//!
//! Its lists are declared here. Its limits are keys of the connection file, each with the greatest value that
//! a connection may have. Knows nothing of what the values are used for.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::check::{self, Schema};
use super::document::{Document, Environment};
use super::keys::{DefaultValue, HonoredBy, KEYS, Key, Kind};
use crate::egress::policy::Target;
use crate::error::{Error, Result};
use crate::files::folder_of;
use crate::sinks::Location;

/// The lists of a policy file.
pub(super) static LISTS: &[Key] = &[
    list(
        "components",
        "none: files leave `component` out",
        "components",
        "Folders and files: the only components that connection files may name. The one of `--component`, \
         or next to the program, is always admitted.",
    ),
    Key {
        kind: Kind::Sha256s,
        ..list(
            "component_sha256",
            "any content",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "The only contents that components may have, as `inspect` shows them.",
        )
    },
    Key {
        kind: Kind::Hosts,
        ..list(
            "hosts",
            "those that components declare; nothing in `allow`",
            "api.example.com:443",
            "The only hosts that connections may reach, whether the component declares or the file allows \
             them.",
        )
    },
    list(
        "sinks",
        "the folder of the connection file",
        "rows",
        "Folders in which sinks may lie; for a sink that has a URL, the URL without user and query, but with \
         the `endpoint` of an object store, as both are written.",
    ),
    list(
        "files",
        "none",
        "secrets",
        "Folders of the files that `KEY_file`, `url_file`, `ca_file` and `sslrootcert` may read.",
    ),
    list(
        "variables",
        "none",
        "TEAM_A_*",
        "Environment variables that `${NAME}` may read; a `*` at the end stands for any ending.",
    ),
];

const fn list(name: &'static str, means: &'static str, example: &'static str, text: &'static str) -> Key {
    let default = DefaultValue::Absent { means, example };
    Key { name, kind: Kind::Texts, default, honored_by: HonoredBy::All, text }
}

/// Whether a key of the connection file has a greatest value in a policy file. The time between two polls has
/// none: the account of CPU time bounds it.
pub(super) fn is_limit(key: &Key) -> bool {
    matches!(key.kind, Kind::Count(_) | Kind::Bytes(_) | Kind::Duration(_))
        && key.name != "serve.poll_interval"
}

/// A checked policy file.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    path: PathBuf,
    lists: Lists,
    /// The greatest value of each key that has one, as it is written.
    limits: BTreeMap<&'static str, Value>,
}

/// Paths are resolved.
#[derive(Clone, Debug, Deserialize)]
struct Lists {
    #[serde(default)]
    components: Vec<PathBuf>,
    component_sha256: Option<Vec<String>>,
    hosts: Option<Vec<String>>,
    sinks: Option<Vec<PathBuf>>,
    #[serde(default)]
    files: Vec<PathBuf>,
    #[serde(default)]
    variables: Vec<String>,
}

impl PolicyFile {
    /// Reads a file. Its paths are relative to it.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::configuration(format!("policy {}: {error}", path.display()))
                .hint("docs/configuration.md lists the keys of a policy file")
        })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let mut document = Document::parse(path, text, Environment { lookup: &|_| None, policy: None })?;
        check::check(&mut document, &Schema::policy());
        document.finish()?;
        let limits = KEYS.iter().filter(|key| is_limit(key));
        let limits = limits.filter_map(|key| Some((key.name, document.get(key.name)?.clone()))).collect();
        let mut lists = Lists::deserialize(Value::Object(document.values))
            .map_err(|error| Error::configuration(format!("policy {}: {error}", path.display())))?;
        let resolved = |paths: &mut Vec<PathBuf>| {
            for entry in paths {
                let full = folder_of(path).join(&entry);
                // One that does not exist admits nothing yet; a URL of a sink stays as it is.
                *entry = std::fs::canonicalize(full).unwrap_or_else(|_| entry.clone());
            }
        };
        resolved(&mut lists.components);
        resolved(&mut lists.files);
        lists.sinks.iter_mut().for_each(resolved);
        Ok(Self { path: path.to_owned(), lists, limits })
    }

    /// Whether `${NAME}` may read a variable.
    pub(super) fn admits_variable(&self, name: &str) -> bool {
        self.lists.variables.iter().any(|listed| match listed.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == listed,
        })
    }

    /// Notes every limit above its greatest value, and lowers the defaults.
    pub(super) fn check_limits(&self, document: &mut Document<'_>) {
        for (name, most) in &self.limits {
            let Some(key) = KEYS.iter().find(|key| key.name == *name) else { continue };
            let Some(greatest) = key.kind.amount(most) else { continue };
            if let Some(written) = document.get(name) {
                if key.kind.amount(written).is_some_and(|written| written > greatest) {
                    let shown = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
                    let most = most.as_str().map_or_else(|| most.to_string(), str::to_owned);
                    let what = format!("{shown} is more than {most}, which {} admits", self.path.display());
                    document.problem(name, what, None);
                }
            } else if let DefaultValue::Value(default) = key.default
                && key.kind.amount(&key.kind.value(default)).is_some_and(|default| default > greatest)
            {
                document.set(name, most.clone());
            }
        }
    }

    /// Fails if the file of a component, or one with certificates or a secret, may not be read.
    pub(super) fn admit_component(&self, file: &Path, component: &Path) -> Result<()> {
        self.admit_path(file, "component", component, &self.lists.components, "components")
    }

    /// See [`Self::admit_component`].
    pub(super) fn admit_file(&self, file: &Path, key: &str, path: &Path) -> Result<()> {
        self.admit_path(file, key, path, &self.lists.files, "files")
    }

    /// Fails if rows or files may not be written there.
    pub(super) fn admit_sink(&self, file: &Path, key: &str, location: &Location) -> Result<()> {
        let own_folder = std::fs::canonicalize(folder_of(file)).map(|folder| vec![folder]);
        let own_folder = own_folder.unwrap_or_default();
        let listed = self.lists.sinks.as_ref().unwrap_or(&own_folder);
        match location {
            Location::Path(path) => self.admit_path(file, key, path, listed, "sinks"),
            Location::Schema { .. } => self.admit_url(file, "sink.url", location, listed),
            Location::Objects { path, .. } => {
                self.admit_path(file, key, path, listed, "sinks")?;
                let key = if key == "sink.path" { "sink.url" } else { key };
                self.admit_url(file, key, location, listed)
            }
        }
    }

    fn admit_url(&self, file: &Path, key: &str, location: &Location, listed: &[PathBuf]) -> Result<()> {
        let url = location.shown_url();
        let is_listed = listed.iter().any(|listed| listed.as_os_str() == url.as_str());
        if is_listed { Ok(()) } else { Err(self.refusal(file, key, &url, "sinks")) }
    }

    /// Fails if a component of this content may not run.
    pub(super) fn admit_content(&self, file: &Path, sha256: &str) -> Result<()> {
        let Some(listed) = &self.lists.component_sha256 else { return Ok(()) };
        if listed.iter().any(|listed| listed.eq_ignore_ascii_case(sha256)) {
            return Ok(());
        }
        Err(self.refusal(file, "component", &format!("a content of SHA-256 {sha256}"), "component_sha256"))
    }

    /// Fails if a host that the component declares, or one that the file allows, may not be reached.
    pub(crate) fn admit_hosts(&self, file: &Path, declared: &[Target], allowed: &[Target]) -> Result<()> {
        let listed: Option<Vec<Target>> = self
            .lists
            .hosts
            .as_ref()
            .map(|hosts| hosts.iter().filter_map(|host| Target::parse(host)).collect());
        let is_listed = |host: &Target| listed.as_ref().is_some_and(|listed| listed.contains(host));
        if let Some(host) = allowed.iter().find(|host| !is_listed(host)) {
            return Err(self.refusal(file, "egress.allow", &host.to_string(), "hosts"));
        }
        match declared.iter().find(|host| listed.is_some() && !is_listed(host)) {
            Some(host) => {
                let what = format!("its component reaches {host}; that");
                Err(self.refusal(file, "component", &what, "hosts"))
            }
            None => Ok(()),
        }
    }

    fn admit_path(&self, file: &Path, key: &str, path: &Path, listed: &[PathBuf], list: &str) -> Result<()> {
        let is_listed = resolve(path).is_some_and(|path| listed.iter().any(|entry| path.starts_with(entry)));
        if is_listed { Ok(()) } else { Err(self.refusal(file, key, &path.display().to_string(), list)) }
    }

    fn refusal(&self, file: &Path, key: &str, what: &str, list: &str) -> Error {
        let (file, policy) = (file.display(), self.path.display());
        Error::configuration(format!("{file}: {key}: {what} is not in `{list}` of {policy}"))
            .hint("whoever runs this program decides what that file admits")
    }
}

/// The path without links and `..`; none if it does not exist and is not a plain name in a folder that does.
fn resolve(path: &Path) -> Option<PathBuf> {
    if let Ok(path) = std::fs::canonicalize(path) {
        return Some(path);
    }
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        // A link that leads nowhere yet is not followed.
        if std::fs::symlink_metadata(ancestor).is_ok() || ancestor.as_os_str().is_empty() {
            let folder = std::fs::canonicalize(folder_or_here(ancestor)).ok()?;
            return Some(missing.iter().rev().fold(folder, |path: PathBuf, name| path.join(name)));
        }
        match ancestor.components().next_back()? {
            Component::Normal(name) => missing.push(name),
            _ => return None,
        }
    }
    None
}

fn folder_or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::PolicyFile;
    use crate::connection::Connection;
    use crate::egress::policy::Target;
    use crate::error::Result;

    struct Fixture {
        folder: tempfile::TempDir,
        policy: PolicyFile,
    }

    impl Fixture {
        /// Folders `rows`, `secrets`, `components` and `files`, the latter with the connection files.
        fn new(policy: &str) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            for name in ["rows", "secrets", "components", "files"] {
                std::fs::create_dir(folder.path().join(name)).expect("made");
            }
            std::fs::write(folder.path().join("components/x.wasm"), "").expect("written");
            std::os::unix::fs::symlink("/etc", folder.path().join("rows/link")).expect("linked");
            let policy =
                PolicyFile::parse(&folder.path().join("policy.toml"), policy).expect("a good policy");
            Self { folder, policy }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn load(&self, text: &str) -> Result<Connection, String> {
            let file = self.path("files/acme.toml");
            std::fs::write(&file, format!("name = \"acme\"\n{text}")).expect("written");
            let environment = |name: &str| Some(format!("value of {name}"));
            Connection::load_within(&file, &environment, Some(&self.policy.clone().into()))
                .map_err(|error| error.message)
        }

        #[track_caller]
        fn refuses(&self, text: &str, words: &str) {
            let error = self.load(text).map(drop).expect_err("admitted");
            assert!(error.contains(words), "`{words}` is missing: {error}");
        }
    }

    #[test]
    fn variables_are_those_that_are_listed() {
        let fixture = Fixture::new("variables = [\"ONE\", \"TEAM_A_*\"]");
        for name in ["ONE", "TEAM_A_SECRET"] {
            fixture.load(&format!("[config]\nx = \"${{{name}}}\"")).expect("listed");
        }
        for name in ["ONE_MORE", "TEAM_B_SECRET", "AWS_SECRET_ACCESS_KEY"] {
            let words = format!("config.x: the policy lets no connection file read {name}");
            fixture.refuses(&format!("[config]\nx = \"${{{name}}}\""), &words);
        }
        Fixture::new("").refuses("[config]\nx = \"${ONE}\"", "read ONE");
    }

    #[test]
    fn a_limit_above_the_greatest_value_is_refused_and_a_default_is_lowered() {
        let fixture = Fixture::new("[sandbox]\nmemory = \"128MiB\"\n[batch]\nmax_rows = 5000");
        let limits = fixture.load("").expect("defaults").limits;
        assert_eq!((limits.sandbox.memory, limits.batch.max_rows), (128 << 20, 2_000));
        let limits = fixture.load("[sandbox]\nmemory = \"64MiB\"").expect("less").limits;
        assert_eq!(limits.sandbox.memory, 64 << 20);
        fixture.refuses("[sandbox]\nmemory = \"1GiB\"", "sandbox.memory: 1GiB is more than 128MiB, which ");
        fixture.refuses("[batch]\nmax_rows = 5001", "batch.max_rows: 5001 is more than 5000, which ");
    }

    #[test]
    fn sinks_lie_in_the_listed_folders_or_else_beside_the_connection_file() {
        let beside = Fixture::new("");
        for text in ["", "[sink]\npath = \"a.db\"", "[sink]\npath = \"new/folder/a.db\""] {
            beside.load(text).expect("beside");
        }
        for path in ["../rows/a.db", "/tmp/a.db", "new/../../a.db", "../files/../../a.db"] {
            beside.refuses(&format!("[sink]\npath = \"{path}\""), "is not in `sinks` of ");
        }
        let listed = Fixture::new("sinks = [\"rows\"]");
        listed.load("[sink]\npath = \"../rows/a.db\"").expect("listed");
        listed.refuses("", "is not in `sinks` of ");
        listed.refuses("[sink]\npath = \"../rows/link/a.db\"", "is not in `sinks` of ");
    }

    #[test]
    fn the_store_and_the_authority_that_are_compared_are_those_that_are_used() {
        let listed = Fixture::new(
            "sinks = [\"rows\", \"s3://shared/acme\", \"s3://shared/acme?endpoint=https://minio.example:9000\"]\n\
             files = [\"secrets\"]",
        );
        let sink = |url: &str| format!("[sink]\nkind = \"parquet\"\npath = \"../rows/x\"\nurl = \"{url}\"");
        let good = "s3://shared/acme?endpoint=https://minio.example:9000";
        listed.load(&sink(good)).expect("listed");
        listed.refuses(&sink("s3://shared/acme?endpoint=http://127.0.0.1:1"), "is not in `sinks` of ");
        listed.refuses(&sink("s3://shared/acme?region=x%40127.0.0.1:1/"), "its region has other characters");
        let own = format!("{}/secrets/ca.pem", listed.folder.path().display());
        std::fs::write(&own, "").expect("written");
        listed.load(&sink(&format!("{good}&ca_file={own}"))).expect("listed");
        for more in ["&endpoint=http://127.0.0.1:1".to_owned(), format!("&ca_file={own}&ca_file=/etc/passwd")]
        {
            listed.refuses(&sink(&format!("{good}{more}")), "is not the URL of an object store");
        }
        // The comparison decodes it, as the client does.
        let outside = own.replace("ca.pem", "%2e%2e/components/x.wasm");
        listed.refuses(&sink(&format!("{good}&ca_file={outside}")), "ca_file: ");
        let elsewhere = good.replace("acme", "acme#else");
        listed.refuses(&sink(&elsewhere), "is not the URL of an object store");
    }

    #[test]
    fn components_and_certificates_come_from_the_listed_folders() {
        let listed = Fixture::new("components = [\"components\"]\nfiles = [\"secrets\"]");
        listed.load("component = \"../components/x.wasm\"").expect("listed");
        listed.refuses("component = \"/tmp/x.wasm\"", "component: /tmp/x.wasm is not in `components` of ");
        std::fs::write(listed.path("secrets/ca.pem"), "").expect("written");
        listed.load("[egress]\nca_file = \"../secrets/ca.pem\"").expect("listed");
        listed
            .refuses("[egress]\nca_file = \"/etc/passwd\"", "egress.ca_file: /etc/passwd is not in `files`");
        Fixture::new("").refuses("component = \"../components/x.wasm\"", "is not in `components` of ");
    }

    #[test]
    fn hosts_are_those_that_are_listed() {
        let targets = |texts: &[&str]| -> Vec<Target> {
            texts.iter().map(|text| Target::parse(text).expect("a target")).collect()
        };
        let file = Path::new("acme.toml");
        let any = Fixture::new("").policy;
        any.admit_hosts(file, &targets(&["a.example:443"]), &[]).expect("as declared");
        any.admit_hosts(file, &[], &targets(&["127.0.0.1:1"])).expect_err("nothing in `allow`");
        let one = Fixture::new("hosts = [\"a.example:443\"]").policy;
        let a = targets(&["a.example:443"]);
        one.admit_hosts(file, &a, &a).expect("listed");
        let error = one.admit_hosts(file, &targets(&["b.example:443"]), &[]).expect_err("not listed");
        assert!(error.message.contains("its component reaches b.example:443"), "{error}");
    }

    #[test]
    fn contents_are_those_that_are_listed() {
        let one = Fixture::new(&format!("component_sha256 = [\"{}\"]", "AB".repeat(32))).policy;
        let file = Path::new("acme.toml");
        one.admit_content(file, &"ab".repeat(32)).expect("listed");
        one.admit_content(file, &"00".repeat(32)).expect_err("not listed");
        Fixture::new("").policy.admit_content(file, &"00".repeat(32)).expect("any");
    }

    #[test]
    fn an_unusable_policy_is_refused() {
        let path = Path::new("policy.toml");
        for (text, words) in [
            ("[config]\nx = 1", "policy.toml:1: config: unknown key"),
            ("name = \"x\"", "policy.toml:1: name: unknown key"),
            ("sinks = \"rows\"", "policy.toml:1: sinks: a list of texts is required"),
            ("[sandbox]\nmemory = 5", "policy.toml:2: sandbox.memory: "),
            ("hosts = [\"a.example\"]", "policy.toml:1: hosts: `a.example` is not host:port"),
            (
                "component_sha256 = [\"1\"]",
                "policy.toml:1: component_sha256: `1` is not 64 hexadecimal digits",
            ),
        ] {
            let error = PolicyFile::parse(path, text).expect_err("accepted");
            assert!(error.message.starts_with(words), "{text}: {error}");
        }
    }
}
