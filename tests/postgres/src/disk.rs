//! A server whose disk is small and can be filled.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use crate::{Durability, Programs, Server, run};

/// Bytes of one write of the file that fills the disk.
const STEP: usize = 64 * 1024;

impl Server {
    /// Creates a cluster on a separate disk of some MiB, and starts its server. None where this user may
    /// not mount one.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_on_small_disk(mib: u32) -> Result<Option<Self>, String> {
        let mut server = Self::in_new_folder(Programs::find()?, Durability::None)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=0700"), "tmpfs"]).arg(&server.folder);
        if run("mount", &mut mount).is_err() {
            return Ok(None);
        }
        server.is_mounted = true;
        server.give_away()?;
        server.create()?;
        server.resume()?;
        Ok(Some(server))
    }

    /// Leaves no byte free on its disk.
    ///
    /// # Errors
    ///
    /// The file that could not be created.
    pub fn fill_disk(&self) -> Result<(), String> {
        let mut file = File::create(self.filler()).map_err(|error| error.to_string())?;
        while file.write_all(&[1; STEP]).is_ok() {}
        Ok(())
    }

    /// Undoes [`Self::fill_disk`].
    ///
    /// # Errors
    ///
    /// The file that could not be deleted.
    pub fn free_disk(&self) -> Result<(), String> {
        fs::remove_file(self.filler()).map_err(|error| error.to_string())
    }

    /// Starts the server again if it has ended by itself.
    ///
    /// # Errors
    ///
    /// As [`Self::resume`].
    pub fn revive(&mut self) -> Result<(), String> {
        let Some(process) = &mut self.process else { return self.resume() };
        match process.try_wait() {
            Ok(None) => Ok(()),
            _ => {
                self.process = None;
                self.resume()
            }
        }
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    pub(crate) fn unmount(&self) {
        if self.is_mounted {
            // Lazily: a process of the server may still end.
            let _kept = run("umount", Command::new("umount").arg("-l").arg(&self.folder));
        }
    }
}
