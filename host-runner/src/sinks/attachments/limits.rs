//! Which attachments are left out, and which bytes are not those of the file that a row names. Pure.

use super::Wanted;
use crate::change::Piece;
use crate::error::{Error, Kind, Origin, Result};
use crate::units::format_bytes;

/// The limits on attachments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttachmentLimits {
    /// Largest file, in bytes.
    pub(crate) bytes_max: u64,
    /// Endings of names, in lower case, without the dot; empty: any.
    pub(crate) types: Vec<String>,
}

impl AttachmentLimits {
    /// Why a file is left out; none if it is to be fetched.
    pub(super) fn refuse(&self, name: &str, size: Option<u64>) -> Option<String> {
        if let Some(size) = size.filter(|size| *size > self.bytes_max) {
            let (size, max) = (format_bytes(size), format_bytes(self.bytes_max));
            return Some(format!("left out: {size}, and `attachments_max_bytes` is {max}"));
        }
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase()).unwrap_or_default();
        let is_wanted = self.types.is_empty() || self.types.contains(&ending);
        (!is_wanted).then(|| "left out: `attachments_types` does not list its type".to_owned())
    }

    /// Refuses bytes up to `end` that cannot be those of the file.
    pub(super) fn admit(&self, wanted: &Wanted, end: u64, piece: &Piece) -> Result<()> {
        let wrong = |problem: String| Err(Error::new(Origin::Component, Kind::Data, problem));
        match wanted.size {
            Some(size) if end > size => wrong(format!("more bytes came than its size, {size}")),
            Some(size) if piece.is_last && end < size => {
                wrong(format!("{end} bytes came, and its size is {size}"))
            }
            None if end > self.bytes_max => {
                wrong(format!("it is larger than `attachments_max_bytes`, {}", format_bytes(self.bytes_max)))
            }
            _ if piece.bytes.is_empty() && !piece.is_last => {
                let stuck = Error::new(Origin::Component, Kind::Unavailable, "no bytes came");
                Err(stuck)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AttachmentLimits;

    #[test]
    fn size_and_type_leave_files_out() {
        let limits = AttachmentLimits { bytes_max: 10, types: vec!["pdf".to_owned()] };
        for (name, size, is_wanted) in [
            ("a.pdf", Some(10), true),
            ("a.b.PDF", None, true),
            ("a.pdf", Some(11), false),
            ("a.exe", Some(1), false),
            ("pdf", Some(1), false),
            ("", None, false),
        ] {
            assert_eq!(limits.refuse(name, size).is_none(), is_wanted, "{name} {size:?}");
        }
        let any = AttachmentLimits { bytes_max: 10, types: Vec::new() };
        assert_eq!(any.refuse("", Some(0)), None);
    }
}
