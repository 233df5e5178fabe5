//! Bounded runs of the fuzz targets: seeded inputs, and the corpus that is checked in.

use std::path::Path;

/// How many times as many inputs as usual; `CURFEW_HOSTILE_TIMES=100 cargo nextest run -p curfew-hostile`.
const TIMES: &str = "CURFEW_HOSTILE_TIMES";

/// `count` inputs of up to `length` bytes. The same seed always makes the same ones.
pub(crate) fn seeded(seed: u64, count: usize, length: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut state = seed;
    let mut next = move || {
        // SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let times = std::env::var(TIMES).map_or(1, |times| times.parse().expect(TIMES));
    (0..count * times).map(move |_| {
        let bytes = usize::try_from(next()).unwrap_or(usize::MAX) % (length + 1);
        std::iter::repeat_with(|| next().to_be_bytes()[0]).take(bytes).collect()
    })
}

/// The inputs of `fuzz/corpus/<target>`, in the order of their names.
pub(crate) fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{target} has no inputs");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}
