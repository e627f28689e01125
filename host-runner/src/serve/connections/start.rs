//! The start of a server: every known URL is answered, then every file is loaded, then commands are answered.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{Connections, Event, Notify};
use crate::error::Result;
use crate::serve::CHECK_EVERY;
use crate::serve::loads::START_WITHIN;
use crate::serve::plan::Reload;
use crate::serve::scan::FIRST_WITHIN;
use crate::stop::Stop;

/// Longest wait at the start until commands reach every connection; it takes milliseconds.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

impl Connections {
    /// Sees the files for the first time and starts loading them. When it returns, every known URL is
    /// answered: deliveries are journaled while their connections are being loaded, and while their folder
    /// does not answer.
    pub(in crate::serve) async fn begin(&mut self, notify: Notify<'_>) -> Result<()> {
        let scan = self.scan(Reload::ChangedFiles, FIRST_WITHIN);
        let seen = spawn_blocking(scan).await??;
        self.reconcile(&seen, notify);
        self.report_loading();
        Ok(())
    }

    /// The files that are being loaded; the folder counts as one while it is not listed.
    fn report_loading(&self) {
        self.overview.set_loading(self.loads.files().len() + usize::from(self.folder_hangs));
    }

    /// Whether the start waits for files, and for the list of the folder unless it is late.
    fn is_awaited(&self, is_late: bool) -> bool {
        let mut files = self.loads.files();
        (self.folder_hangs && !is_late) || files.any(|file| !is_late || self.named.contains(file))
    }

    /// Waits until every file was loaded, and commands reach each connection or it has failed; for the files
    /// of the folder [`START_WITHIN`] at most. A file of the command line must be valid, and its connection
    /// free; an invalid file of the folder is reported, the others are served. False if a stop was requested.
    pub(in crate::serve) async fn finish_start(
        &mut self,
        stop: &mut Stop,
        notify: Notify<'_>,
    ) -> Result<bool> {
        let (opening, mut opened) = mpsc::channel(1);
        self.opening = Some(opening);
        let mut is_late = false;
        let mut late = pin!(tokio::time::sleep(START_WITHIN));
        loop {
            // Also before the first event: a file beyond the limit of open files is not loaded at all.
            if let Some(failure) = self.named.iter().find_map(|file| self.loads.failure(file)) {
                return Err(failure.clone());
            }
            if !self.is_awaited(is_late) {
                break;
            }
            self.report_loading();
            let lists_again = self.folder_hangs && !self.is_scanning;
            let event = tokio::select! {
                event = self.next() => event,
                () = tokio::time::sleep(CHECK_EVERY), if lists_again => {
                    self.start_scan(Reload::ChangedFiles);
                    continue;
                }
                () = &mut late, if !is_late => {
                    is_late = true;
                    continue;
                }
                () = stop.requested() => return Ok(false),
            };
            match event {
                Event::Loaded(file, number, loaded) if self.named.contains(&file) => match *loaded {
                    Err(error) if self.loads.is_newest(&file, number) => return Err(error),
                    loaded => self.loaded(&file, number, loaded, notify),
                },
                event => self.handle(event, notify),
            }
        }
        self.overview.set_loading(0);
        if self.loads.files().len() > 0 {
            notify(&format!("warning: {} connection files are still being loaded", self.loads.files().len()));
        } else if self.running.is_empty() {
            notify("warning: no connection to serve yet");
        }
        (self.is_starting, self.opening) = (false, None);
        // Nothing is sent: the channel closes when the last supervisor drops its sender.
        let _too_slow = tokio::time::timeout(OPEN_WITHIN, opened.recv()).await;
        Ok(true)
    }
}
