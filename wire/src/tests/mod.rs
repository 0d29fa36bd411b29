//! Corners by hand, random messages against an independent codec, bytes of a real broker.

mod broker;
mod corners;
mod golden;
mod hostile;
mod invention;
mod oracle;

pub(crate) use invention::Invention;

use bytes::Bytes;

use crate::{DecodeError, EncodeError, Message, Reader, Writer};

const BUDGET: usize = 1 << 20;

fn encode(message: &impl Message, version: i16) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    message.encode(&mut w, version)?;
    w.into_bytes()
}

fn decode<T: Message>(bytes: &[u8], version: i16) -> Result<T, DecodeError> {
    let frame = Bytes::copy_from_slice(bytes);
    let mut r = Reader::new(&frame, BUDGET);
    let message = T::decode(&mut r, version)?;
    assert_eq!(r.remaining(), 0, "bytes left after the message");
    Ok(message)
}
