//! A second server that follows the first.

use crate::{Programs, Server, run};

impl Server {
    /// Starts a standby of this server, from a base backup. None where the programs are not installed.
    ///
    /// # Errors
    ///
    /// The program that failed, with its output.
    pub fn standby(&self) -> Result<Option<Self>, String> {
        let programs = Programs::find()?;
        if programs.path("pg_basebackup").is_err() || programs.path("pg_ctl").is_err() {
            return Ok(None);
        }
        let mut standby = Self::in_new_folder(programs, self.durability)?;
        let mut copy = standby.command("pg_basebackup")?;
        copy.args([
            "--username=postgres",
            "--checkpoint=fast",
            "--write-recovery-conf",
            "--no-sync",
            "--host",
        ]);
        run("pg_basebackup", copy.arg(&self.folder).arg("--pgdata").arg(standby.data()))?;
        standby.resume()?;
        Ok(Some(standby))
    }

    /// Turns a standby into a server that takes writes.
    ///
    /// # Errors
    ///
    /// The output of `pg_ctl`.
    pub fn promote(&self) -> Result<(), String> {
        run("pg_ctl", self.command("pg_ctl")?.args(["promote", "--wait", "--pgdata"]).arg(self.data()))
    }
}
