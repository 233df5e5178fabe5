//! Damage in the write-ahead log.
//!
//! SQLite takes the first frame with a wrong checksum for the end of the log, because that is what
//! a commit looks like in which the machine lost power. But a commit is begun only once the one
//! before it is on disk: where a commit behind the broken frame was followed by another, what broke
//! had been acknowledged. Source of the format: <https://sqlite.org/fileformat2.html#walformat>.

use std::{
    fs::File,
    io::{self, BufReader, ErrorKind, Read as _},
    path::Path,
};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The least and the largest size of SQLite's pages.
const PAGE_BYTES: std::ops::RangeInclusive<u32> = 512..=65_536;
/// How a log begins; its last bit says that checksums are of big-endian words.
const MAGIC: u32 = 0x377f_0682;

/// Where acknowledged commits were damaged; none in an absent or an empty log.
///
/// # Guarantees
///
/// What a killed process or lost power leaves is none, also with frames of older commits behind it.
/// Damage at the very end (to the last commit, or where it joins the one before) cannot be told
/// from that and is not noticed.
pub(super) fn damage(path: &Path) -> io::Result<Option<&'static str>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // The header is on disk before the first frame is written.
    let has_frames = file.metadata()?.len() > HEADER_BYTES as u64;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let Some(mut log) = Log::begin(&mut reader)? else {
        return Ok(has_frames.then_some("the header of its -wal is broken"));
    };
    // Whether SQLite has stopped, and whether a commit has just ended behind that.
    let (mut is_broken, mut has_ended) = (false, false);
    while let Some(frame) = log.next(&mut reader)? {
        if has_ended && frame.follows {
            return Ok(Some("its -wal is broken within commits that were acknowledged"));
        }
        is_broken |= !frame.follows;
        has_ended = is_broken && frame.ends_commit;
    }
    Ok(None)
}

/// A log while it is read.
struct Log {
    is_big_endian: bool,
    /// Tells frames of this use of the file from those that an earlier one has left.
    salt: [u8; 8],
    /// As the frame before (at first the header) has it: each frame's covers all before it.
    checksum: (u32, u32),
    frame: Vec<u8>,
}

/// What is known of one frame.
struct Frame {
    /// It was written right behind the frame before it, and is as it was written.
    follows: bool,
    /// A commit ends with it.
    ends_commit: bool,
}

impl Log {
    /// Reads the header; `None` if it is not one.
    fn begin(reader: &mut impl io::Read) -> io::Result<Option<Self>> {
        let mut header = Vec::new();
        reader.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
        let magic = word(&header, 0, true);
        let is_big_endian = magic & 1 == 1;
        let checksum = summed((0, 0), header.get(..24).unwrap_or_default(), is_big_endian);
        let page_bytes = word(&header, 8, true);
        let is_header = magic & !1 == MAGIC
            && PAGE_BYTES.contains(&page_bytes)
            && checksum == (word(&header, 24, true), word(&header, 28, true));
        let salt = header.get(16..24).and_then(|salt| salt.try_into().ok());
        let (true, Some(salt)) = (is_header, salt) else { return Ok(None) };
        let page_bytes = usize::try_from(page_bytes).unwrap_or_default();
        let frame = vec![0; FRAME_HEADER_BYTES.saturating_add(page_bytes)];
        Ok(Some(Self { is_big_endian, salt, checksum, frame }))
    }

    /// The next whole frame.
    fn next(&mut self, reader: &mut impl io::Read) -> io::Result<Option<Frame>> {
        match reader.read_exact(&mut self.frame) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let (header, page) = self.frame.split_at(FRAME_HEADER_BYTES.min(self.frame.len()));
        let place = header.get(..8).unwrap_or_default();
        let expected = summed(self.checksum, place, self.is_big_endian);
        let expected = summed(expected, page, self.is_big_endian);
        let is_ours = header.get(8..16) == Some(&self.salt);
        self.checksum = (word(header, 16, true), word(header, 20, true));
        Ok(Some(Frame {
            follows: is_ours && self.checksum == expected,
            ends_commit: word(header, 4, true) != 0,
        }))
    }
}

/// SQLite's checksum of bytes in pairs of words, going on from another.
fn summed(from: (u32, u32), bytes: &[u8], is_big_endian: bool) -> (u32, u32) {
    bytes.chunks_exact(8).fold(from, |(a, b), pair| {
        let a = a.wrapping_add(word(pair, 0, is_big_endian)).wrapping_add(b);
        let b = b.wrapping_add(word(pair, 4, is_big_endian)).wrapping_add(a);
        (a, b)
    })
}

/// The word at a place; zero beyond the end.
fn word(bytes: &[u8], at: usize, is_big_endian: bool) -> u32 {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
    if is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}
