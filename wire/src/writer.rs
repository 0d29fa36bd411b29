//! Builds the bytes of one message as a list of parts.
//!
//! Everything but record data goes into one buffer. Record data is only noted, with the place in the buffer where it belongs, and
//! becomes a part of its own at the end: it is never copied.

use bytes::Bytes;

use crate::reader::STRING_BYTES_MAX;
use crate::{EncodeError, Message, Records};

/// A piece of an encoded message; in order they are the message.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    Bytes(Bytes),
    /// `length` bytes that whoever sends the message brings itself.
    External {
        index: u32,
        length: u32,
    },
}

impl Part {
    /// Length on the wire.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::External { length, .. } => usize::try_from(*length).unwrap_or(usize::MAX),
        }
    }
}

/// Appends values. See [`crate::Reader`] for the two forms of lengths.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: Vec<u8>,
    /// Record data, each with the position in `buffer` in front of which it stands; positions never decrease.
    inserts: Vec<(usize, Part)>,
    /// Whether the first four bytes of `buffer` wait for the size of all that follows.
    framed: bool,
}

macro_rules! fixed {
    ($($name:ident: $type:ty;)*) => {
        $(pub fn $name(&mut self, value: $type) {
            self.buffer.extend_from_slice(&value.to_be_bytes());
        })*
    };
}

impl Writer {
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer whose parts begin with an int32: the size of all that follows, as on a connection.
    pub fn framed() -> Self {
        Self {
            buffer: vec![0; SIZE_BYTES],
            inserts: Vec::new(),
            framed: true,
        }
    }

    /// All bytes written so far, the external ones and a size in front included.
    pub fn bytes_written(&self) -> usize {
        self.inserts
            .iter()
            .fold(self.buffer.len(), |sum, (_, part)| sum.saturating_add(part.bytes()))
    }

    /// The message. Its parts are not empty.
    ///
    /// Errors: the message is too long for the size in front of it.
    pub fn into_parts(mut self) -> Result<Vec<Part>, EncodeError> {
        if self.framed {
            let size = self.bytes_written().saturating_sub(SIZE_BYTES);
            let size = i32::try_from(size).map_err(|_| EncodeError::TooLong)?;
            if let Some(front) = self.buffer.first_chunk_mut() {
                *front = size.to_be_bytes();
            }
        }
        let mut parts = Vec::with_capacity(self.inserts.len().saturating_mul(2).saturating_add(1));
        let mut buffer = Bytes::from(self.buffer);
        let mut position = 0;
        for (at, insert) in self.inserts {
            push_unless_empty(&mut parts, Part::Bytes(buffer.split_to(at.saturating_sub(position))));
            parts.push(insert);
            position = at;
        }
        push_unless_empty(&mut parts, Part::Bytes(buffer));
        Ok(parts)
    }

    /// The message as one piece, for records of a log and for tests. External data is not in it.
    pub fn into_bytes(self) -> Result<Bytes, EncodeError> {
        let parts = self.into_parts()?;
        if let [Part::Bytes(bytes)] = parts.as_slice() {
            return Ok(bytes.clone());
        }
        let mut joined = Vec::with_capacity(parts.iter().map(Part::bytes).sum());
        for part in &parts {
            match part {
                Part::Bytes(bytes) => joined.extend_from_slice(bytes),
                Part::External { .. } => {}
            }
        }
        Ok(joined.into())
    }

    fixed! {
        int8: i8;
        int16: i16;
        uint16: u16;
        int32: i32;
        uint32: u32;
        int64: i64;
        float64: f64;
    }

    pub fn bool(&mut self, value: bool) {
        self.int8(value.into());
    }

    pub fn uuid(&mut self, value: [u8; 16]) {
        self.buffer.extend_from_slice(&value);
    }

    pub fn unsigned_varint(&mut self, value: u32) {
        let (bytes, length) = varint(value);
        self.buffer.extend_from_slice(bytes.get(..length).unwrap_or_default());
    }

    pub fn string(&mut self, value: &str, flexible: bool) -> Result<(), EncodeError> {
        self.nullable_string(Some(value), flexible)
    }

    pub fn nullable_string(&mut self, value: Option<&str>, flexible: bool) -> Result<(), EncodeError> {
        let length = value.map(str::len);
        if length.is_some_and(|length| length > STRING_BYTES_MAX) {
            return Err(EncodeError::TooLong);
        }
        if flexible {
            self.length(length, true)?;
        } else {
            let length = length.map_or(Ok(-1), i16::try_from);
            self.int16(length.map_err(|_| EncodeError::TooLong)?);
        }
        self.buffer.extend_from_slice(value.unwrap_or_default().as_bytes());
        Ok(())
    }

    pub fn bytes(&mut self, value: &[u8], flexible: bool) -> Result<(), EncodeError> {
        self.nullable_bytes(Some(value), flexible)
    }

    pub fn nullable_bytes(&mut self, value: Option<&[u8]>, flexible: bool) -> Result<(), EncodeError> {
        self.length(value.map(<[u8]>::len), flexible)?;
        self.buffer.extend_from_slice(value.unwrap_or_default());
        Ok(())
    }

    /// Record data. `field` names it in the error when it is null.
    pub fn records(&mut self, value: &Records, flexible: bool, field: &'static str) -> Result<(), EncodeError> {
        match value {
            Records::Null => Err(EncodeError::UnexpectedNull(field)),
            Records::Bytes(_) | Records::External { .. } => self.nullable_records(value, flexible),
        }
    }

    pub fn nullable_records(&mut self, value: &Records, flexible: bool) -> Result<(), EncodeError> {
        let part = match value {
            Records::Null => return self.length(None, flexible),
            Records::Bytes(bytes) => Part::Bytes(bytes.clone()),
            Records::External { index, length } => Part::External {
                index: *index,
                length: *length,
            },
        };
        self.length(Some(part.bytes()), flexible)?;
        if part.bytes() > 0 {
            self.inserts.push((self.buffer.len(), part));
        }
        Ok(())
    }

    pub fn array<T>(
        &mut self,
        values: &[T],
        flexible: bool,
        element: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.nullable_array(Some(values), flexible, element)
    }

    pub fn nullable_array<T>(
        &mut self,
        values: Option<&[T]>,
        flexible: bool,
        mut element: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.length(values.map(<[T]>::len), flexible)?;
        values
            .unwrap_or_default()
            .iter()
            .try_for_each(|value| element(self, value))
    }

    /// An array of structures.
    pub fn structs<T: Message>(&mut self, values: &[T], flexible: bool, version: i16) -> Result<(), EncodeError> {
        self.array(values, flexible, |w, value| value.encode(w, version))
    }

    pub fn nullable_structs<T: Message>(
        &mut self,
        values: Option<&[T]>,
        flexible: bool,
        version: i16,
    ) -> Result<(), EncodeError> {
        self.nullable_array(values, flexible, |w, value| value.encode(w, version))
    }

    /// A structure behind a byte: 1, or -1 for null.
    pub fn nullable_struct<T: Message>(&mut self, value: Option<&T>, version: i16) -> Result<(), EncodeError> {
        self.int8(if value.is_some() { 1 } else { -1 });
        value.map_or(Ok(()), |value| value.encode(self, version))
    }

    /// The same as a tagged field: behind a varint, 1, or 0 for null.
    pub fn tagged_nullable_struct<T: Message>(&mut self, value: Option<&T>, version: i16) -> Result<(), EncodeError> {
        self.unsigned_varint(u32::from(value.is_some()));
        value.map_or(Ok(()), |value| value.encode(self, version))
    }

    /// One tagged field: tag, size, and the value that `write` appends.
    pub fn tag(
        &mut self,
        tag: u32,
        write: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.unsigned_varint(tag);
        let (start, inserts_before, bytes_before) = (self.buffer.len(), self.inserts.len(), self.bytes_written());
        write(self)?;
        let size = self.bytes_written().saturating_sub(bytes_before);
        let (bytes, length) = varint(u32::try_from(size).map_err(|_| EncodeError::TooLong)?);
        self.buffer.splice(start..start, bytes.into_iter().take(length));
        for (position, _) in self.inserts.iter_mut().skip(inserts_before) {
            *position = position.saturating_add(length);
        }
        Ok(())
    }

    /// A length of bytes or of an array; `None` is null.
    fn length(&mut self, length: Option<usize>, flexible: bool) -> Result<(), EncodeError> {
        let length = length.map_or(Ok(-1), i32::try_from).map_err(|_| EncodeError::TooLong)?;
        if flexible {
            self.unsigned_varint(length.wrapping_add(1).cast_unsigned());
        } else {
            self.int32(length);
        }
        Ok(())
    }
}

const SIZE_BYTES: usize = 4;

fn varint(mut value: u32) -> ([u8; 5], usize) {
    let mut bytes = [0; 5];
    let mut length = 0;
    for byte in &mut bytes {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        length += 1;
        *byte = if value == 0 { low & 0x7f } else { low | 0x80 };
        if value == 0 {
            break;
        }
    }
    (bytes, length)
}

fn push_unless_empty(parts: &mut Vec<Part>, part: Part) {
    if part.bytes() > 0 {
        parts.push(part);
    }
}
