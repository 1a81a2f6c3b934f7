//! External data representation (RFC 4506), with a bound at every length.

use nfsserve::nfs::{nfstime3, sattr3, specdata3};
use nfsserve::xdr::XDR;

/// A message says something that its grammar does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the message ends too early")]
    Short,
    #[error("a length is over its bound")]
    TooLong,
    #[error("a value is none of its kind")]
    Value,
    #[error("something follows the last value")]
    Trailing,
}

/// Types of the protocol whose encoding has no length in it, so that decoding them sets no memory aside.
pub trait Fixed: XDR {}

impl Fixed for sattr3 {}
impl Fixed for nfstime3 {}
impl Fixed for specdata3 {}

/// Reads values off the front of a message.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Opaque data of a length that both sides know (section 4.9).
    pub fn fixed<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Malformed> {
        let mut bytes = [0; LENGTH];
        bytes.copy_from_slice(self.take(LENGTH)?);
        self.take(padding(LENGTH))?;
        Ok(bytes)
    }

    /// Section 4.2.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.fixed().map(u32::from_be_bytes)
    }

    /// Section 4.5.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.fixed().map(u64::from_be_bytes)
    }

    /// Section 4.4.
    pub fn bool(&mut self) -> Result<bool, Malformed> {
        match self.u32()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Value),
        }
    }

    /// Opaque data or a string of at most `max` bytes (sections 4.10 and 4.11).
    pub fn opaque(&mut self, max: usize) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed::TooLong)?;
        if length > max {
            return Err(Malformed::TooLong);
        }
        let taken = self.take(length)?;
        self.take(padding(length))?;
        Ok(taken)
    }

    /// A value that the protocol's own types can read.
    pub fn value<T: Fixed + Default>(&mut self) -> Result<T, Malformed> {
        let mut value = T::default();
        value.deserialize(&mut self.rest).map_err(|failure| match failure.kind() {
            std::io::ErrorKind::UnexpectedEof => Malformed::Short,
            _ => Malformed::Value,
        })?;
        Ok(value)
    }

    /// Nothing may follow.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing) }
    }
}

/// Writes values to the end of a message.
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    /// Bytes so far.
    pub fn written(&self) -> usize {
        self.out.len()
    }

    /// Takes back everything from `length` on.
    pub fn truncate(&mut self, length: usize) {
        self.out.truncate(length);
    }

    pub fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub fn bool(&mut self, value: bool) {
        self.u32(value.into());
    }

    /// Opaque data whose length both sides know.
    pub fn fixed(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(&[0; 3][..padding(bytes.len())]);
    }

    /// Opaque data or a string. What is longer than a length can say is cut.
    pub fn opaque(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.u32(length);
        self.fixed(&bytes[..length as usize]);
    }

    /// A value of the protocol's own types.
    pub fn value(&mut self, value: &impl XDR) {
        // Writing to memory cannot fail.
        let _ = value.serialize(&mut self.out);
    }

    #[cfg(test)]
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }
}

/// Zeros that bring `length` bytes to a multiple of four (section 3).
pub const fn padding(length: usize) -> usize {
    (4 - length % 4) % 4
}

#[cfg(test)]
mod tests {
    use nfsserve::nfs::{fattr3, set_mode3, set_size3};

    use super::*;

    #[test]
    fn opaque_data_is_padded_and_bounded() {
        let mut encoder = Encoder::default();
        encoder.opaque(b"sillyprog");
        let bytes = encoder.into_bytes();
        assert_eq!(bytes, b"\0\0\0\x09sillyprog\0\0\0");
        assert_eq!(Decoder::new(&bytes).opaque(9), Ok(&b"sillyprog"[..]));
        assert_eq!(Decoder::new(&bytes).opaque(8), Err(Malformed::TooLong));
        assert_eq!(Decoder::new(&bytes[..13]).opaque(9), Err(Malformed::Short));
        assert_eq!(Decoder::new(&[0xff, 0xff, 0xff, 0xf0]).opaque(usize::MAX), Err(Malformed::Short));
    }

    #[test]
    fn numbers_are_big_endian_and_booleans_are_two() {
        let mut decoder = Decoder::new(&[0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(decoder.u32(), Ok(258));
        assert_eq!(decoder.u64(), Ok(5));
        assert_eq!(decoder.bool(), Ok(true));
        assert_eq!(decoder.bool(), Err(Malformed::Value));
        assert_eq!(decoder.end(), Ok(()));
    }

    #[test]
    fn attributes_to_set_are_read_by_the_types_of_the_protocol() {
        let mut encoder = Encoder::default();
        for word in [1, 0o640, 0, 0, 1, 0, 4096, 0, 1] {
            encoder.u32(word);
        }
        let bytes = encoder.into_bytes();
        let read: sattr3 = Decoder::new(&bytes).value().expect("well-formed");
        assert!(matches!(read.mode, set_mode3::mode(0o640)));
        assert!(matches!(read.size, set_size3::size(4096)));
        assert!(matches!(Decoder::new(&bytes[..20]).value::<sattr3>(), Err(Malformed::Short)));
        let mut wrong = bytes.clone();
        wrong[31] = 9;
        assert!(matches!(Decoder::new(&wrong).value::<sattr3>(), Err(Malformed::Value)));
    }

    #[test]
    fn file_attributes_take_84_bytes() {
        let mut encoder = Encoder::default();
        encoder.value(&fattr3::default());
        assert_eq!(encoder.written(), 84);
    }
}
