//! Random numbers that a seed repeats.

/// SplitMix64.
pub(crate) struct Rng(u64);

impl Rng {
    /// Equal seeds give equal numbers.
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of `low..high`.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low)
    }
}

/// The seeds to run: `$E2E_SEED` alone, else all of `0..count`.
pub(crate) fn seeds(range: std::ops::Range<u64>) -> Vec<u64> {
    match std::env::var("E2E_SEED") {
        Ok(seed) => vec![seed.parse().expect("E2E_SEED is a number")],
        Err(_) => range.collect(),
    }
}
