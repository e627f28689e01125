//! The socket of a server, in its data folder, which only its owner may enter.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;

use crate::files;

/// The socket of the server that has a data folder.
pub(crate) fn socket(data: &Path) -> PathBuf {
    data.join("serve.sock")
}

/// Longest path of a socket on every system; `sun_path` holds 104 to 108 bytes.
const PATH_BYTES_MAX: usize = 100;

/// Calls with a path of the socket that is short enough: a deeper folder is named by its open file
/// descriptor.
pub(super) fn at_short_path<T>(
    socket: &Path,
    call: impl FnOnce(&Path) -> std::io::Result<T>,
) -> std::io::Result<T> {
    let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else { return call(socket) };
    if socket.as_os_str().len() <= PATH_BYTES_MAX {
        return call(socket);
    }
    let folder = File::open(folder)?;
    call(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
}

/// Whether the program at the other end runs as this user or as the administrator. The mode of the folder
/// keeps others out, too, unless it was changed.
pub(super) fn is_trusted(client: &UnixStream) -> bool {
    client.peer_cred().is_ok_and(|peer| files::is_trusted_user(peer.uid()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::{at_short_path, socket};

    #[test]
    fn a_data_folder_may_lie_deeper_than_the_path_of_a_socket_allows() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("x".repeat(150));
        std::fs::create_dir_all(&data).expect("a folder");
        let connect = || at_short_path(&socket(&data), |path| UnixStream::connect(path));
        assert!(connect().is_err(), "there is no listener");
        let _listener = at_short_path(&socket(&data), |path| UnixListener::bind(path)).expect("bound");
        assert!(socket(&data).exists());
        connect().expect("connected");
    }
}
