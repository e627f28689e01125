//! Finds PostgreSQL's programs: those of the system, else those of a Python package.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Where Debian keeps each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The variable that names a folder of programs.
pub const VARIABLE: &str = "POSTGRES_BIN";

/// A folder with PostgreSQL's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs(PathBuf);

impl Programs {
    /// Those of `POSTGRES_BIN`, of the `PATH`, or the newest of Debian.
    ///
    /// # Errors
    ///
    /// The packages that have them.
    pub fn find() -> Result<Self, String> {
        let named = env::var_os(VARIABLE).map(PathBuf::from);
        let path = env::var_os("PATH").unwrap_or_default();
        // A link in the PATH leads to the folder with all programs.
        let linked = env::split_paths(&path).filter_map(|folder| {
            fs::canonicalize(folder.join("postgres")).ok()?.parent().map(Path::to_owned)
        });
        let mut debian: Vec<PathBuf> = fs::read_dir(DEBIAN)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .collect();
        debian.sort_by_key(|folder| version(folder));
        let mut candidates = named.into_iter().chain(linked).chain(debian.into_iter().rev());
        candidates.find_map(|folder| Self::of(&folder).ok()).ok_or_else(|| {
            "PostgreSQL's programs are missing; the tests of its sink need them\n\n\
             hint: on Debian and Ubuntu `apt-get install postgresql`; or name a database for tests with \
             TEST_DATABASE_URL"
                .to_owned()
        })
    }

    /// Those in a folder.
    ///
    /// # Errors
    ///
    /// The program that is missing.
    pub fn of(folder: &Path) -> Result<Self, String> {
        let programs = Self(folder.to_owned());
        programs.path("postgres")?;
        programs.path("initdb")?;
        Ok(programs)
    }

    /// The path of a program.
    pub(crate) fn path(&self, program: &str) -> Result<PathBuf, String> {
        let path = self.0.join(program);
        if path.exists() { Ok(path) } else { Err(format!("{} is missing", path.display())) }
    }
}

/// The number in `/usr/lib/postgresql/15/bin`.
fn version(folder: &Path) -> u32 {
    let name = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).unwrap_or(0)
}
