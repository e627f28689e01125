//! A lease that is the lock of a file. It ends with its process, so it is never lost.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use super::{Held, Leases};
use crate::error::{Error, Kind, Origin, Result};
use crate::files;
use crate::stop::{self, Stop};

/// Locks `<folder>/lock`, which holds the number of the process that has it.
pub(in crate::state) struct FileLeases {
    pub(in crate::state) folder: PathBuf,
    /// The connection.
    pub(in crate::state) name: String,
}

/// The locked file.
struct Locked {
    _file: File,
}

impl Held for Locked {
    fn lost(&self) -> Stop {
        stop::channel().1
    }
}

impl Leases for FileLeases {
    fn take(&self) -> Result<Box<dyn Held>> {
        let path = self.folder.join("lock");
        let failed = |error: std::io::Error| Error::state(format!("{}: {error}", path.display()));
        let mut file =
            files::open(&path, OpenOptions::new().read(true).write(true).create(true).truncate(false))?;
        match files::try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _unknown = file.read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => "another process".to_owned(),
                    process => format!("process {process}"),
                };
                let message = format!("connection `{}`: in use by {holder}", self.name);
                return Err(Error::new(Origin::State, Kind::Unavailable, message)
                    .hint("wait until it ends; two processes must not refresh one connection's tokens"));
            }
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Box::new(Locked { _file: file }))
    }
}
