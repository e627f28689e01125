//! Deterministic numbers: the same seed, stream and index give the same value on every machine.
//!
//! Not for secrets. SplitMix64, because a value for any (stream, index) is had without a state.

/// Mixes a seed, a stream (what the number is for) and an index (which record) into 64 bits.
pub(crate) fn mix(seed: u64, stream: u64, index: u64) -> u64 {
    let start = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(stream.wrapping_mul(0xD1B5_4A32_D192_ED03))
        .wrapping_add(index.wrapping_mul(0x8CB9_2BA7_2F3D_8DD7));
    finish(finish(start))
}

fn finish(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Hashes bytes, for decisions that hang on a URL.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut value = 0xCBF2_9CE4_8422_2325u64;
    for byte in bytes {
        value = (value ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    finish(value)
}

/// A sequence of numbers that begins at one (seed, stream, index).
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The sequence for one record of one stream.
    pub(crate) fn new(seed: u64, stream: u64, index: u64) -> Rng {
        Rng(mix(seed, stream, index))
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        finish(self.0)
    }

    /// A number from 0 up to, not including, `bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// True in `permille` of a thousand cases.
    pub(crate) fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// True with a probability from 0.0 to 1.0.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        (self.next() >> 11) as f64 / ((1u64 << 53) as f64) < probability
    }

    /// One of the items; the slice must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::{Rng, mix};

    #[test]
    fn numbers_repeat_for_equal_seeds_and_differ_for_others() {
        assert_eq!(mix(1, 2, 3), mix(1, 2, 3));
        assert_ne!(mix(1, 2, 3), mix(2, 2, 3));
        let mut rng = Rng::new(7, 1, 1);
        assert!((0..1000).all(|_| rng.below(10) < 10));
        assert_eq!(rng.below(0), 0);
    }
}
