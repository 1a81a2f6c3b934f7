//! Calls that are nearly right.

use crate::primitives::nfs::testing::message;
use crate::primitives::nfs::wire::xdr::Encoder;

/// Numbers that look random and are the same each time.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// A well-formed call of any procedure of either program, on the root.
pub fn well_formed(dice: &mut Dice, root: &[u8]) -> Vec<u8> {
    let mut arguments = Encoder::default();
    if dice.roll(10) == 0 {
        arguments.opaque(b"/acme/data");
        return message(dice.roll(1 << 30) as u32, 100_005, dice.roll(7) as u32, &arguments);
    }
    arguments.opaque(root);
    for _ in 0..dice.roll(12) {
        match dice.roll(3) {
            0 => arguments.u32(dice.roll(3) as u32),
            1 => arguments.opaque(b"name"),
            _ => arguments.u64(dice.roll(1 << 20) as u64),
        }
    }
    message(dice.roll(1 << 30) as u32, 100_003, dice.roll(23) as u32, &arguments)
}

pub fn mangled(dice: &mut Dice, mut call: Vec<u8>) -> Vec<u8> {
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(call.len().max(1)).min(call.len().saturating_sub(4)) & !3;
        let worst = [0xffff_ffff, 0xffff_fff0, 0x7fff_ffff, 0x8000_0000, 0x10_0000, 17, 65, 401];
        match dice.roll(4) {
            0 => call.truncate(at),
            1 => call.extend_from_slice(&[dice.roll(256) as u8; 7]),
            _ if call.len() >= at + 4 => {
                call[at..at + 4].copy_from_slice(&u32::to_be_bytes(worst[dice.roll(worst.len())]));
            }
            _ => {}
        }
    }
    call
}
