//! Pseudorandom numbers: the same seed, stream and index give the same value on every machine.
//!
//! Not for secrets. SplitMix64, because it gives the value for any (stream, index) without a state.

/// Mixes a seed, a stream (the purpose of the number) and an index (the record) into 64 bits.
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

/// Hashes bytes (FNV-1a with a finalizer).
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut value = 0xCBF2_9CE4_8422_2325u64;
    for byte in bytes {
        value = (value ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    finish(value)
}

/// A sequence of numbers that starts at one (seed, stream, index).
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

    /// A number below `bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// True with a probability of `permille` / 1000.
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
    use super::{Rng, hash, mix};

    #[test]
    fn seed_stream_and_index_each_change_the_number() {
        let numbers = [mix(1, 2, 3), mix(9, 2, 3), mix(1, 9, 3), mix(1, 2, 9)];
        let distinct: std::collections::BTreeSet<u64> = numbers.into_iter().collect();
        assert_eq!(distinct.len(), 4, "{numbers:?}");
    }

    #[test]
    fn numbers_stay_the_same_between_versions() {
        let mut rng = Rng::new(7, 1, 1);
        let numbers = (mix(1, 2, 3), rng.next(), rng.below(1_000), hash(b"/tickets"));
        let expected =
            (6_389_128_680_396_573_636, 16_746_758_279_442_332_641, 444, 16_313_079_122_773_091_019);
        assert_eq!(numbers, expected);
    }

    #[test]
    fn below_reaches_every_number_under_its_bound_evenly() {
        let (mut rng, mut counts) = (Rng::new(7, 1, 1), [0; 10]);
        for _ in 0..10_000 {
            counts[rng.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn chances_are_as_frequent_as_they_say() {
        let mut rng = Rng::new(7, 1, 2);
        let hits = (0..10_000).filter(|_| rng.chance(300)).count();
        assert!((2_850..3_150).contains(&hits), "{hits}");
        let hits = (0..10_000).filter(|_| rng.happens(0.3)).count();
        assert!((2_850..3_150).contains(&hits), "{hits}");
        assert!(!rng.happens(0.0) && rng.happens(1.0));
    }
}
