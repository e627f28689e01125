//! The memory of all instances of a process together: half of the machine's. Half of it is divided among the
//! instances, so that each has a part that others cannot take; the rest goes to those that ask first.
//!
//! Counts linear memories and bytes behind handles. Pure, but for the size of the machine.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The words of the trap of an instance that found nothing left, for the message.
pub(crate) const EXHAUSTED: &str = "memory for all components";
/// The memory of a machine that does not report it.
const UNKNOWN_BYTES: usize = 4 << 30;

/// See the file's header. Clones share it.
#[derive(Clone)]
pub(crate) struct Budget(Arc<Shared>);

struct Shared {
    /// Bytes of each instance.
    own: usize,
    /// Bytes that are left for all.
    common: AtomicUsize,
}

impl Budget {
    /// Half of the machine's memory, or of the limit of this process's control group.
    pub(crate) fn of_machine(instances: usize) -> Self {
        Self::new(machine_bytes() / 2, instances)
    }

    pub(crate) fn new(bytes: usize, instances: usize) -> Self {
        let (own, common) = (bytes / 2 / instances.max(1), AtomicUsize::new(bytes / 2));
        Self(Arc::new(Shared { own, common }))
    }

    /// The account of an instance.
    pub(crate) fn account(&self) -> Account {
        Account { budget: self.clone(), own_left: self.0.own, borrowed: 0 }
    }
}

/// The bytes that one instance has taken; returned when it is dropped.
pub(crate) struct Account {
    budget: Budget,
    own_left: usize,
    borrowed: usize,
}

impl Account {
    /// Takes bytes; false if they are not there.
    #[must_use]
    pub(crate) fn draw(&mut self, bytes: usize) -> bool {
        let own = bytes.min(self.own_left);
        let rest = bytes - own;
        let common = &self.budget.0.common;
        if common.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(rest)).is_err() {
            return false;
        }
        self.own_left -= own;
        self.borrowed += rest;
        true
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.budget.0.common.fetch_add(self.borrowed, Relaxed);
    }
}

fn machine_bytes() -> usize {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = |folder: &Path| fs::read_to_string(folder.join("memory.max")).ok()?.trim().parse().ok();
    let limits = group_folders(&group).into_iter().filter_map(|folder| limit(Path::new(&folder)));
    limits.chain(total(&text)).min().unwrap_or(UNKNOWN_BYTES)
}

/// The memory in `/proc/meminfo`.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The folders of the control group in `/proc/self/cgroup` (version 2) and of those above it: each may have a
/// limit.
fn group_folders(group: &str) -> Vec<String> {
    let path = group.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let above = Path::new(path).ancestors();
    above.map(|path| format!("/sys/fs/cgroup{}", path.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::{Budget, group_folders, total};

    #[test]
    fn each_instance_has_its_part_and_the_rest_goes_to_those_that_ask_first() {
        let budget = Budget::new(2_000, 10);
        let (mut large, mut small) = (budget.account(), budget.account());
        assert!(large.draw(60) && large.draw(1_040), "100 of its own, and all that is common");
        assert!(!large.draw(1));
        assert!(small.draw(100), "nobody takes its part");
        assert!(!small.draw(1));
        drop(large);
        assert!(small.draw(1_000), "returned");
        assert!(!budget.account().draw(101));
    }

    #[test]
    fn the_memory_of_the_machine_and_the_limits_of_its_groups_are_read() {
        assert_eq!(total("MemTotal:       2097152 kB\nMemFree: 1 kB\n"), Some(2 << 30));
        assert_eq!(total(""), None);
        let folders = ["/sys/fs/cgroup/system.slice/runner.service", "/sys/fs/cgroup/system.slice"];
        let found = group_folders("1:cpu:/x\n0::/system.slice/runner.service\n");
        assert_eq!(found, [&folders[..], &["/sys/fs/cgroup/"]].concat());
        assert!(super::machine_bytes() > 64 << 20);
    }
}
