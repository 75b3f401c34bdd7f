//! Big-endian integers at an offset. The caller has checked that the bytes exist.

use super::Address;

#[inline]
pub fn get16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
pub fn get32(bytes: &[u8], at: usize) -> u32 {
    u32::read(&bytes[at..])
}

#[inline]
pub fn set16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[inline]
pub fn set32(bytes: &mut [u8], at: usize, value: u32) {
    value.write(&mut bytes[at..]);
}
