//! The memory of all instances of a process together: half of the machine's. Half of it is divided among the
//! instances, so that each has a part that others cannot take. Of the rest an instance of a server takes more
//! while it holds no more of it than is left: some that take all they can, and keep it while they wait, leave
//! a share to the next.
//!
//! Counts linear memories and bytes behind handles. Pure, but for the size of the machine.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::limits::OFFLINE_INSTANCES;

/// The words of the trap of an instance that found nothing left, for the message.
pub(crate) const EXHAUSTED: &str = "memory for all components";
/// The memory of a machine that does not report it.
const UNKNOWN_BYTES: usize = 4 << 30;
/// The part of an instance on a small machine, whose server has fewer calls at a time for it. A component has
/// one to three MiB before its first call, and needs ten more for a batch.
const OWN_BYTES: usize = 16 << 20;
/// Calls at a time of a server on the smallest machine.
const INSTANCES_MIN: u32 = 16;

/// How much of the memory that is not divided one instance may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// All of it: a command has one connection.
    All,
    /// As much as it leaves to others.
    Half,
}

/// Calls at a time of a server for which this machine's memory suffices, of `wanted`.
pub(crate) fn affordable_instances(wanted: u32) -> u32 {
    affordable(wanted, machine_bytes())
}

fn affordable(wanted: u32, machine_bytes: usize) -> u32 {
    let parts = u32::try_from(machine_bytes / 4 / OWN_BYTES).unwrap_or(u32::MAX);
    wanted.min(parts.saturating_sub(OFFLINE_INSTANCES).max(INSTANCES_MIN))
}

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
    pub(crate) fn account(&self, share: Share) -> Account {
        Account { budget: self.clone(), share, own_left: self.0.own, borrowed: 0 }
    }
}

/// The bytes that one instance has taken; returned when it is dropped.
pub(crate) struct Account {
    budget: Budget,
    share: Share,
    own_left: usize,
    borrowed: usize,
}

impl Account {
    /// Takes bytes; false if they are not there.
    #[must_use]
    pub(crate) fn draw(&mut self, bytes: usize) -> bool {
        let own = bytes.min(self.own_left);
        let rest = bytes - own;
        let borrowed = self.borrowed.saturating_add(rest);
        let is_fair = |left: &usize| rest == 0 || self.share == Share::All || borrowed <= *left;
        let common = &self.budget.0.common;
        if common.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(rest).filter(is_fair)).is_err() {
            return false;
        }
        self.own_left -= own;
        self.borrowed = borrowed;
        true
    }

    /// Gives back bytes that were drawn.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        let borrowed = bytes.min(self.borrowed);
        self.borrowed -= borrowed;
        self.own_left += bytes - borrowed;
        self.budget.0.common.fetch_add(borrowed, Relaxed);
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
    let limit = |file: &String| fs::read_to_string(file).ok()?.trim().parse().ok();
    let limits = limit_files(&group).filter_map(|file| limit(&file));
    limits.chain(total(&text)).min().unwrap_or(UNKNOWN_BYTES)
}

/// The memory in `/proc/meminfo`.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The files with the limits of the control groups in `/proc/self/cgroup` and of those above them, of both
/// versions: lines are `number:controllers:path`, and version 2 has one without controllers. In a container
/// the path may be the host's, and the root the container's.
fn limit_files(groups: &str) -> impl Iterator<Item = String> {
    let files = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            some if some.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let above = Path::new(path).ancestors().map(|path| path.to_string_lossy());
        Some(above.map(|path| format!("{root}{}/{file}", path.trim_end_matches('/'))).collect::<Vec<_>>())
    };
    groups.lines().filter_map(files).flatten().collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::{Budget, Share, affordable, limit_files, total};

    #[test]
    fn each_instance_has_its_part_and_the_rest_goes_to_those_that_ask_first() {
        let budget = Budget::new(2_000, 10);
        let (mut large, mut small) = (budget.account(Share::All), budget.account(Share::Half));
        assert!(large.draw(60) && large.draw(1_040), "100 of its own, and all that is common");
        assert!(!large.draw(1));
        assert!(small.draw(100), "nobody takes its part");
        assert!(!small.draw(1));
        drop(large);
        assert!(small.draw(500), "returned");
        assert!(!small.draw(1), "the rest is for others");
        small.give_back(550);
        assert!(budget.account(Share::All).draw(1_100), "50 of the other's part are left");
    }

    #[test]
    fn an_instance_that_takes_all_it_can_leaves_a_share_to_the_next() {
        let budget = Budget::new(4_096 << 10, 2);
        let greedy = |_| {
            let mut account = budget.account(Share::Half);
            let taken = (0..).take_while(|_| account.draw(1 << 10)).count();
            (taken, account)
        };
        let taken = [(); 4].map(greedy);
        assert_eq!(taken.map(|(taken, _)| taken), [2_048, 1_536, 1_280, 1_152]);
    }

    #[test]
    fn a_server_on_a_small_machine_has_fewer_calls_at_a_time_each_with_a_useful_part() {
        for (gib, calls) in [(1, 16), (2, 16), (4, 48), (8, 112), (17, 256), (64, 256)] {
            assert_eq!(affordable(256, gib << 30), calls, "{gib} GiB");
        }
        assert_eq!(affordable(4, 64 << 30), 4);
    }

    #[test]
    fn the_memory_of_the_machine_and_the_limits_of_its_groups_are_read() {
        assert_eq!(total("MemTotal:       2097152 kB\nMemFree: 1 kB\n"), Some(2 << 30));
        assert_eq!(total(""), None);
        let found: Vec<String> = limit_files("1:cpu:/x\n0::/system.slice/runner.service\n").collect();
        let second = [
            "/sys/fs/cgroup/system.slice/runner.service/memory.max",
            "/sys/fs/cgroup/system.slice/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(found, second);
        let found: Vec<String> = limit_files("9:cpuset:/\n4:hugetlb,memory:/docker/1:2\nbroken\n").collect();
        let first = [
            "/sys/fs/cgroup/memory/docker/1:2/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        ];
        assert_eq!(found, first);
        assert!(super::machine_bytes() > 64 << 20);
    }
}
