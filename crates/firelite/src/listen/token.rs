//! Resume tokens: a position in the change log of one database file.

use sha2::{Digest, Sha256};

use crate::{
    store::{Epoch, Position},
    time::Micros,
};

/// The layout below; a token of another layout is not ours.
const VERSION: u8 = 1;
/// Version, epoch, revision, commit time.
const CONTENT_BYTES: usize = 1 + 8 + 8 + 8;
/// Enough that a damaged token is never taken for a good one. It is no signature: a token opens
/// nothing that its bearer could not read.
const CHECKSUM_BYTES: usize = 8;

/// Writes a position as a token.
pub(super) fn encode(epoch: Epoch, position: Position) -> Vec<u8> {
    let mut token = Vec::with_capacity(CONTENT_BYTES.saturating_add(CHECKSUM_BYTES));
    token.push(VERSION);
    token.extend(epoch);
    token.extend(position.revision.to_be_bytes());
    token.extend(position.committed.0.to_be_bytes());
    let checksum = checksum(&token);
    token.extend(checksum);
    token
}

/// Reads a token of this database; `None` for any other bytes.
pub(super) fn decode(epoch: Epoch, token: &[u8]) -> Option<Position> {
    let (content, found) = token.split_at_checked(CONTENT_BYTES)?;
    if found != checksum(content) {
        return None;
    }
    let (&version, rest) = content.split_first()?;
    let (found_epoch, rest) = rest.split_first_chunk()?;
    let (revision, rest) = rest.split_first_chunk()?;
    let (committed, _) = rest.split_first_chunk()?;
    let position = Position {
        revision: i64::from_be_bytes(*revision),
        committed: Micros(i64::from_be_bytes(*committed)),
    };
    (version == VERSION && *found_epoch == epoch).then_some(position)
}

fn checksum(content: &[u8]) -> Vec<u8> {
    let digest = Sha256::new().chain_update(b"firelite resume token\n").chain_update(content);
    digest.finalize().iter().take(CHECKSUM_BYTES).copied().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EPOCH: Epoch = *b"01234567";
    const POSITION: Position = Position { revision: 42, committed: Micros(1_795_332_569_591_892) };

    #[test]
    fn a_token_gives_its_position_back() {
        assert_eq!(decode(EPOCH, &encode(EPOCH, POSITION)), Some(POSITION));
    }

    #[test]
    fn a_token_of_another_database_is_not_ours() {
        assert_eq!(decode(*b"76543210", &encode(EPOCH, POSITION)), None);
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        let token = encode(EPOCH, POSITION);
        for position in 0..token.len() {
            let mut damaged = token.clone();
            damaged[position] ^= 1;
            assert_eq!(decode(EPOCH, &damaged), None, "byte {position}");
            assert_eq!(decode(EPOCH, &token[..position]), None, "cut at {position}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_are_no_token(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decode(EPOCH, &bytes), None);
        }
    }
}
