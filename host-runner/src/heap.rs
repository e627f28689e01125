//! The heap of a server of many connections: little of it lies idle.
//!
//! glibc spreads threads over up to eight heaps for each processor, and keeps pages that are free between
//! others in use: after a thousand connections were opened, that is more than half of its memory. Other C
//! libraries decide themselves.

/// Lets threads share heaps: two for each processor. For threads that start later.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn share() {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let heaps = i32::try_from(processors.saturating_mul(2)).unwrap_or(i32::MAX);
    #[expect(unsafe_code, reason = "the C library has no other way")]
    // SAFETY: takes numbers, and may be called at any time (mallopt(3)).
    let _is_set = unsafe { libc::mallopt(libc::M_ARENA_MAX, heaps) };
}

/// Gives pages back that nothing uses. Takes some 25 ms for 200 MiB, in which a thread may wait
/// for memory.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn trim() {
    #[expect(unsafe_code, reason = "the C library has no other way")]
    // SAFETY: may be called at any time, by any thread (malloc_trim(3)).
    let _were_some_free = unsafe { libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) const fn share() {}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) const fn trim() {}
