//! A server that takes TLS and SCRAM alone.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, chown};

use crate::{NOBODY, Server};

/// Logins: any user by the socket, with TLS and a password by the port.
const LOGINS: &str = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";

impl Server {
    /// Starts it again on a free port of 127.0.0.1 as well, with this certificate and its key, in PEM; gives
    /// `localhost` with the port.
    ///
    /// # Errors
    ///
    /// The file that could not be written, or as [`Self::listen`].
    pub fn listen_with_tls(&mut self, certificate: &str, key: &str) -> Result<String, String> {
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            self.write(name, text)?;
        }
        self.write("pg_hba.conf", LOGINS)?;
        self.write("postgresql.auto.conf", "ssl = on\n")?;
        self.listen()?;
        Ok(format!("localhost:{}", self.port.unwrap_or_default()))
    }

    /// Replaces a file of the cluster.
    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.data().join(name);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut options = OpenOptions::new();
        let mut file =
            options.create(true).write(true).truncate(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        if self.as_nobody {
            chown(&path, Some(NOBODY), Some(NOBODY)).map_err(failed)?;
        }
        Ok(())
    }
}
