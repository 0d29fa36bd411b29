//! Takes values from the bytes of one frame.
//!
//! Every length is checked against the bytes left before it is used, and what a value takes in memory is taken from the budget
//! before it is reserved. Flexible versions write lengths as unsigned varints of length + 1 (0 is null), the older ones as
//! int16 (strings) or int32 with -1 for null (KIP-482).

use bytes::Bytes;

use crate::{DecodeError, Message, Records};

/// A cursor over the bytes of one frame.
#[derive(Debug)]
pub struct Reader<'a> {
    frame: &'a [u8],
    /// What the frame is a part of, if values may share it.
    owner: Option<&'a Bytes>,
    position: usize,
    budget: usize,
    /// Where values come from instead of the frame, in tests that need messages full of random values.
    #[cfg(test)]
    pub(crate) invention: Option<crate::tests::Invention>,
}

/// Whether a value may be null.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Null {
    Allowed,
    Refused,
}

macro_rules! fixed {
    ($($name:ident: $type:ty, $size:literal;)*) => {
        $(pub fn $name(&mut self) -> Result<$type, DecodeError> {
            self.array_of::<$size>().map(<$type>::from_be_bytes)
        })*
    };
}

impl<'a> Reader<'a> {
    /// Reads `frame` from its start. `budget`: bytes that the decoded values may take in memory beyond the frame itself.
    pub fn new(frame: &'a Bytes, budget: usize) -> Self {
        Self {
            owner: Some(frame),
            ..Self::over(frame, budget)
        }
    }

    /// The same of bytes that nobody can share: values that are not borrowed are copies.
    pub fn over(frame: &'a [u8], budget: usize) -> Self {
        Self {
            frame,
            owner: None,
            position: 0,
            budget,
            #[cfg(test)]
            invention: None,
        }
    }

    /// Bytes not read yet. Not 0 after a whole message: there is something behind it.
    pub fn remaining(&self) -> usize {
        self.frame.len().saturating_sub(self.position)
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    fixed! {
        int8: i8, 1;
        int16: i16, 2;
        uint16: u16, 2;
        int32: i32, 4;
        uint32: u32, 4;
        int64: i64, 8;
        float64: f64, 8;
    }

    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.int8()? != 0)
    }

    pub fn uuid(&mut self) -> Result<[u8; 16], DecodeError> {
        self.array_of()
    }

    /// An unsigned varint of at most 32 bits.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = u32::from(self.array_of::<1>().map(u8::from_be_bytes)?);
            let bits = byte & 0x7f;
            if shift == 28 && bits > 0x0f {
                return Err(DecodeError::InvalidVarint);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::InvalidVarint)
    }

    /// A string; what is not UTF-8 is replaced, as Kafka does.
    pub fn string(&mut self, flexible: bool) -> Result<String, DecodeError> {
        let bytes = self.string_bytes(flexible, Null::Refused)?;
        self.owned(bytes.unwrap_or_default())
    }

    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<String>, DecodeError> {
        let bytes = self.string_bytes(flexible, Null::Allowed)?;
        bytes.map(|bytes| self.owned(bytes)).transpose()
    }

    /// A string in place, which must be UTF-8.
    pub fn borrowed_string(&mut self, flexible: bool) -> Result<&'a str, DecodeError> {
        let bytes = self.string_bytes(flexible, Null::Refused)?;
        utf8(bytes.unwrap_or_default())
    }

    pub fn nullable_borrowed_string(&mut self, flexible: bool) -> Result<Option<&'a str>, DecodeError> {
        self.string_bytes(flexible, Null::Allowed)?.map(utf8).transpose()
    }

    /// Bytes as a slice of the frame, which they keep in memory; a copy where it cannot be shared.
    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes, DecodeError> {
        let bytes = self.borrowed_bytes(flexible)?;
        self.shared(bytes)
    }

    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>, DecodeError> {
        let bytes = self.nullable_borrowed_bytes(flexible)?;
        bytes.map(|bytes| self.shared(bytes)).transpose()
    }

    pub fn borrowed_bytes(&mut self, flexible: bool) -> Result<&'a [u8], DecodeError> {
        let length = self.length(Prefix::of_bytes(flexible), Null::Refused)?;
        self.take(length.unwrap_or_default())
    }

    pub fn nullable_borrowed_bytes(&mut self, flexible: bool) -> Result<Option<&'a [u8]>, DecodeError> {
        let length = self.length(Prefix::of_bytes(flexible), Null::Allowed)?;
        length.map(|length| self.take(length)).transpose()
    }

    pub fn records(&mut self, flexible: bool) -> Result<Records, DecodeError> {
        self.bytes(flexible).map(Records::Bytes)
    }

    pub fn nullable_records(&mut self, flexible: bool) -> Result<Records, DecodeError> {
        Ok(self.nullable_bytes(flexible)?.map_or(Records::Null, Records::Bytes))
    }

    /// An array whose elements take at least `bytes_min` bytes each.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        bytes_min: usize,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.length(Prefix::of_bytes(flexible), Null::Refused)?;
        self.elements(count.unwrap_or_default(), bytes_min, element)
    }

    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        bytes_min: usize,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let count = self.length(Prefix::of_bytes(flexible), Null::Allowed)?;
        count.map(|count| self.elements(count, bytes_min, element)).transpose()
    }

    /// An array of structures.
    pub fn structs<T: Message>(&mut self, flexible: bool, version: i16) -> Result<Vec<T>, DecodeError> {
        self.array(flexible, T::BYTES_MIN, |r| T::decode(r, version))
    }

    pub fn nullable_structs<T: Message>(
        &mut self,
        flexible: bool,
        version: i16,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        self.nullable_array(flexible, T::BYTES_MIN, |r| T::decode(r, version))
    }

    /// A structure behind a byte that is negative for null.
    pub fn nullable_struct<T: Message>(&mut self, version: i16) -> Result<Option<T>, DecodeError> {
        if self.int8()? < 0 {
            Ok(None)
        } else {
            T::decode(self, version).map(Some)
        }
    }

    /// The same as a tagged field: behind a varint that is 0 for null.
    pub fn tagged_nullable_struct<T: Message>(&mut self, version: i16) -> Result<Option<T>, DecodeError> {
        if self.unsigned_varint()? == 0 {
            Ok(None)
        } else {
            T::decode(self, version).map(Some)
        }
    }

    /// Refuses null where the version does not allow it.
    pub fn null_if<T>(allowed: bool, value: Option<T>) -> Result<Option<T>, DecodeError> {
        if allowed || value.is_some() {
            Ok(value)
        } else {
            Err(DecodeError::UnexpectedNull)
        }
    }

    /// The tagged fields at the end of a structure. `known` gets each tag, reads its value and says `true`, or says `false`
    /// for a tag that it does not know, which is skipped. Of a tag that comes twice the last one counts, as in Kafka.
    pub fn tags(
        &mut self,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        #[cfg(test)]
        if self.invention.is_some() {
            return crate::tests::Invention::tags(self, known);
        }
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let size = to_usize(self.unsigned_varint()?);
            if size > self.remaining() {
                return Err(DecodeError::InvalidLength);
            }
            let end = self.position.saturating_add(size);
            if !known(self, tag)? {
                self.take(size)?;
            }
            if self.position != end {
                return Err(DecodeError::InvalidTag(tag));
            }
        }
        Ok(())
    }

    /// The tagged fields of a structure that knows none.
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(|_, _| Ok(false))
    }

    fn string_bytes(&mut self, flexible: bool, null: Null) -> Result<Option<&'a [u8]>, DecodeError> {
        let prefix = if flexible { Prefix::Varint } else { Prefix::Int16 };
        let length = self.length(prefix, null)?;
        if length.is_some_and(|length| length > STRING_BYTES_MAX) {
            return Err(DecodeError::InvalidLength);
        }
        length.map(|length| self.take(length)).transpose()
    }

    fn elements<T>(
        &mut self,
        count: usize,
        bytes_min: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        if count > self.remaining() / bytes_min.max(1) {
            return Err(DecodeError::InvalidLength);
        }
        self.reserve(count.saturating_mul(size_of::<T>()))?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    /// A length, of bytes or of elements. `None` is null, if that is allowed.
    fn length(&mut self, prefix: Prefix, null: Null) -> Result<Option<usize>, DecodeError> {
        #[cfg(test)]
        if let Some(invention) = &mut self.invention {
            return Ok(invention.length(null));
        }
        let length = match prefix {
            Prefix::Varint => self.unsigned_varint()?.checked_sub(1).map(to_usize),
            Prefix::Int16 => usize::try_from(self.int16()?).ok(),
            Prefix::Int32 => usize::try_from(self.int32()?).ok(),
        };
        match null {
            Null::Refused if length.is_none() => Err(DecodeError::UnexpectedNull),
            Null::Allowed | Null::Refused => Ok(length),
        }
    }

    fn owned(&mut self, bytes: &[u8]) -> Result<String, DecodeError> {
        let string = String::from_utf8_lossy(bytes);
        // Replacing made it longer than what can be written again.
        if string.len() > STRING_BYTES_MAX {
            return Err(DecodeError::InvalidString);
        }
        self.reserve(string.len())?;
        Ok(string.into_owned())
    }

    fn shared(&mut self, bytes: &[u8]) -> Result<Bytes, DecodeError> {
        if bytes.is_empty() {
            return Ok(Bytes::new());
        }
        match self.owner {
            Some(owner) => Ok(owner.slice_ref(bytes)),
            None => {
                self.reserve(bytes.len())?;
                Ok(Bytes::copy_from_slice(bytes))
            }
        }
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.budget = self.budget.checked_sub(bytes).ok_or(DecodeError::OverBudget)?;
        Ok(())
    }

    fn array_of<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], DecodeError> {
        #[cfg(test)]
        if let Some(invention) = &mut self.invention {
            return Ok(invention.bytes());
        }
        let bytes = self.left().first_chunk().ok_or(DecodeError::Truncated)?;
        self.position = self.position.saturating_add(SIZE);
        Ok(*bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let bytes = self.left().get(..length).ok_or(DecodeError::InvalidLength)?;
        self.position = self.position.saturating_add(length);
        Ok(bytes)
    }

    fn left(&self) -> &'a [u8] {
        self.frame.get(self.position..).unwrap_or_default()
    }
}

/// Longest string, in bytes, whatever the width of its length field.
pub(crate) const STRING_BYTES_MAX: usize = 0x7fff;

/// How a length stands in front of what it measures.
#[derive(Clone, Copy)]
enum Prefix {
    /// Of length + 1; 0 is null.
    Varint,
    /// A negative one is null.
    Int16,
    Int32,
}

impl Prefix {
    fn of_bytes(flexible: bool) -> Self {
        if flexible { Self::Varint } else { Self::Int32 }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::InvalidString)
}

fn to_usize(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
