//! The allocations of one instance: linear memories added up, tables, core instances; and its account of the
//! memory for all components.
//!
//! Stops the instance at the limit: no component handles a failed allocation well. Knows nothing of handles.

use wasmtime::{Error, ResourceLimiter, Result, StoreLimits, StoreLimitsBuilder, bail};

use super::budget::{Account, EXHAUSTED};
use crate::limits;

/// The allocations of one store.
pub(super) struct Memory {
    /// Bytes that all linear memories together may still grow by.
    bytes_left: usize,
    counts: StoreLimits,
    account: Account,
}

impl Memory {
    pub(super) fn new(bytes: usize, account: Account) -> Self {
        let counts = StoreLimitsBuilder::new()
            .table_elements(limits::TABLE_ELEMENTS_MAX)
            .instances(limits::CORE_INSTANCES_MAX)
            .tables(limits::CORE_INSTANCES_MAX)
            .memories(limits::MEMORIES_MAX)
            .trap_on_grow_failure(true)
            .build();
        Self { bytes_left: bytes, counts, account }
    }

    /// Draws on the memory for all components.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<()> {
        if self.account.draw(bytes) { Ok(()) } else { bail!("{EXHAUSTED}") }
    }

    /// Gives back bytes that were charged.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.account.give_back(bytes);
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let more = desired.saturating_sub(current);
        match self.bytes_left.checked_sub(more) {
            Some(left) if maximum.is_none_or(|maximum| desired <= maximum) => self.bytes_left = left,
            _ => bail!("growing memory to {desired} bytes"),
        }
        self.charge(more)?;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        self.counts.memory_grow_failed(error)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.counts.table_growing(current, desired, maximum)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        self.counts.table_grow_failed(error)
    }

    fn instances(&self) -> usize {
        self.counts.instances()
    }

    fn tables(&self) -> usize {
        self.counts.tables()
    }

    fn memories(&self) -> usize {
        self.counts.memories()
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::ResourceLimiter;

    use super::Memory;
    use crate::store_data::budget::{Budget, Share};

    #[test]
    fn all_memories_of_an_instance_share_one_limit() {
        let budget = Budget::new(1_000, 1);
        let mut memory = Memory::new(100, budget.account(Share::All));
        assert!(memory.memory_growing(0, 60, None).is_ok_and(|allowed| allowed));
        assert!(memory.memory_growing(0, 40, Some(1_000)).is_ok_and(|allowed| allowed), "a second memory");
        assert!(memory.memory_growing(60, 61, None).is_err());
        assert!(Memory::new(100, budget.account(Share::All)).memory_growing(0, 60, Some(50)).is_err());
    }

    #[test]
    fn all_instances_share_the_memory_of_the_process() {
        let budget = Budget::new(200, 10);
        let [mut one, mut other] = [(); 2].map(|()| Memory::new(1_000, budget.account(Share::All)));
        assert!(one.memory_growing(0, 60, None).is_ok_and(|allowed| allowed));
        for _ in 0..1_000 {
            one.charge(30).expect("behind handles");
            one.give_back(30);
        }
        one.charge(10).expect("behind handles");
        assert!(other.memory_growing(0, 10, None).is_ok_and(|allowed| allowed), "its part");
        one.charge(40).expect("all that is common");
        let refused = other.memory_growing(10, 11, None).expect_err("nothing is left");
        assert_eq!(refused.to_string(), "memory for all components");
        drop(one);
        assert!(other.memory_growing(10, 110, None).is_ok_and(|allowed| allowed));
    }
}
