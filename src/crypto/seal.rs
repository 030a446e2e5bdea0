//! Sealed objects: a committing header, then segments that open alone (FORMAT F-11 … F-16).
//!
//! Each object has a key of its own, from a salt and its whole context. The commitment is compared before
//! the cipher is called; plaintext is released only after its tag; whatever fails leaves zeros (I9).

use bytes::{Buf as _, Bytes, BytesMut};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::{
    Context, Label, ObjectKey, OpenPart, Random, Sealing,
    aead::TAG_BYTES,
    labelled_hash,
    object_key::{ObjectSecrets, nonce},
    opened::{Opened, gather},
    pad::{Layout, SEALED_SEGMENT_BYTES},
};
use crate::{Error, Part, Result, limits::SEGMENT_BYTES};

/// The first bytes of every object: seven letters and the format version.
pub const MAGIC: [u8; 8] = *b"STRNGRM\x01";
/// Bytes of the header that every object has: magic, salt, commitment.
pub const HEADER_BYTES: usize = 64;
/// The format version that this build writes and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

const SALT: std::ops::Range<usize> = 8..32;
const COMMITMENT: std::ops::Range<usize> = 32..64;

/// An object that was sealed: the only thing that may leave the device.
pub struct Sealed {
    context: Context,
    bytes: BytesMut,
}

impl Sealed {
    /// Joined from parts that were sealed.
    pub(super) fn of(context: Context, bytes: BytesMut) -> Self {
        Self { context, bytes }
    }

    /// What it is and where it goes.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The bytes to store.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Hash of these bytes, as references name it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        object_hash(&self.bytes)
    }

    /// Its memory, for the next object.
    #[must_use]
    pub fn into_memory(self) -> BytesMut {
        self.bytes
    }
}

impl Sealed {
    /// Bytes that were sealed before and kept, for sending them once more: they open under `key`, so they
    /// are a sealed object and nothing else.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn again(key: &ObjectKey, context: Context, bytes: Vec<u8>) -> Result<Self> {
        open_message(key, &context, bytes.clone())?;
        Ok(Self { context, bytes: BytesMut::from(Bytes::from(bytes)) })
    }
}

/// The hash of a stored object, as references name it.
#[must_use]
pub fn object_hash(bytes: &[u8]) -> [u8; 32] {
    labelled_hash(Label::HASH_OBJECT, &[bytes])
}

/// An object under construction: plaintext goes straight to where its ciphertext will lie.
///
/// It begins on a border of the processor's cache lines, a long one on one of the system's pages: so a disk takes
/// it from where it lies.
pub struct SealBuffer {
    bytes: BytesMut,
    plain: usize,
    header: usize,
}

impl SealBuffer {
    /// An empty buffer with room for `capacity` plaintext bytes before it has to grow.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self::begin(BytesMut::new(), &[], capacity)
    }

    /// The same in memory that another object had; its bytes go.
    #[must_use]
    pub fn reusing(memory: BytesMut) -> Self {
        Self::begin(memory, &[], 0)
    }

    /// A buffer whose header carries `extra` bytes after the usual ones.
    pub(crate) fn with_extra(extra: &[u8], capacity: usize) -> Self {
        Self::begin(BytesMut::new(), extra, capacity)
    }

    fn begin(mut bytes: BytesMut, extra: &[u8], capacity: usize) -> Self {
        let header = HEADER_BYTES + extra.len();
        bytes.clear();
        bytes.extend_from_slice(&MAGIC);
        bytes.resize(HEADER_BYTES, 0);
        bytes.extend_from_slice(extra);
        let mut buffer = Self { bytes, plain: 0, header };
        buffer.make_room(capacity);
        buffer
    }

    /// Makes room for `capacity` plaintext bytes in all.
    pub fn make_room(&mut self, capacity: usize) {
        /// Ciphers are a hundredth quicker from the border of a cache line on than between two.
        const LINE: usize = 64;
        const PAGE: usize = 4096;
        /// What is shorter goes through a cache on its way to the disk anyway.
        const LONG: usize = 256 * 1024;
        let length = Layout::fitting(self.header, capacity).map_or(0, Layout::length);
        if length <= self.bytes.capacity() {
            return;
        }
        let border = if length < LONG { LINE } else { PAGE };
        let mut roomy = BytesMut::with_capacity(length + border);
        roomy.resize(roomy.as_ptr().align_offset(border).min(border), 0);
        roomy.advance(roomy.len());
        roomy.extend_from_slice(&self.bytes);
        self.bytes = roomy;
    }

    /// Plaintext bytes so far.
    #[must_use]
    pub fn plain_length(&self) -> usize {
        self.plain
    }

    /// Appends plaintext.
    pub fn append(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let room = SEGMENT_BYTES - self.plain % SEGMENT_BYTES;
            let (now, later) = data.split_at(room.min(data.len()));
            self.bytes.extend_from_slice(now);
            self.plain += now.len();
            if self.plain.is_multiple_of(SEGMENT_BYTES) {
                self.bytes.resize(self.bytes.len() + TAG_BYTES, 0);
            }
            data = later;
        }
    }

    /// Copies plaintext out again, for what was appended and is asked for before it is sealed.
    #[must_use]
    pub fn read(&self, offset: usize, length: usize) -> Option<Vec<u8>> {
        offset.checked_add(length).filter(|end| *end <= self.plain)?;
        gather(self.bytes.get(self.header..)?, offset, length)
    }

    fn append_zeros(&mut self, mut count: usize) {
        const ZEROS: [u8; 4096] = [0; 4096];
        while count > 0 {
            let now = count.min(ZEROS.len());
            self.append(ZEROS.get(..now).unwrap_or_default());
            count -= now;
        }
    }

    /// Pads, appends `trailer` as the last plaintext bytes, and seals in place.
    ///
    /// `content_id` stands for the content in the salt: bytes that differ when the content differs, and no secret, since
    /// nobody wipes them.
    ///
    /// # Errors
    /// [`Error::Randomness`]; [`Error::Internal`] when the content does not fit into 8 MiB.
    pub fn seal(
        self,
        key: &ObjectKey,
        context: Context,
        content_id: &[u8],
        trailer: &[u8],
        random: &mut dyn Random,
    ) -> Result<Sealed> {
        let header = self.header;
        let (mut bytes, layout, secrets) = self.complete(key, &context, (content_id, trailer), random)?;
        let body = bytes.get_mut(header..).ok_or(Error::Internal("an object is shorter than its header"))?;
        seal_segments(&secrets, (0, layout.segments() - 1), body)?;
        Ok(Sealed { context, bytes })
    }

    /// The same in parts of `segments` segments, for several threads: `content` are the content id and the trailer.
    ///
    /// # Errors
    /// As [`SealBuffer::seal`].
    pub fn begin_sealing(
        self,
        key: &ObjectKey,
        context: Context,
        content: (&[u8], &[u8]),
        segments: usize,
        random: &mut dyn Random,
    ) -> Result<(Sealing, Vec<OpenPart>)> {
        let (bytes, layout, secrets) = self.complete(key, &context, content, random)?;
        Ok(Sealing::split(context, secrets, (bytes, layout), segments))
    }

    /// An object's whole length, its header sealed and its segments plaintext.
    fn complete(
        mut self,
        key: &ObjectKey,
        context: &Context,
        (content_id, trailer): (&[u8], &[u8]),
        random: &mut dyn Random,
    ) -> Result<(BytesMut, Layout, ObjectSecrets)> {
        let layout = Layout::fitting(self.header, self.plain + trailer.len())?;
        self.append_zeros(layout.capacity() - self.plain - trailer.len());
        self.append(trailer);
        self.bytes.resize(layout.length(), 0);
        let salt = key.hedged_salt(random, context, content_id)?;
        let secrets = key.derive(&salt, context);
        put(&mut self.bytes, SALT, &salt);
        put(&mut self.bytes, COMMITMENT, &secrets.commitment);
        Ok((self.bytes, layout, secrets))
    }
}

/// Seals consecutive segments in place: `first` is the number of the first, `last` that of the object's last.
pub(super) fn seal_segments(
    secrets: &ObjectSecrets,
    (first, last): (usize, usize),
    segments: &mut [u8],
) -> Result<()> {
    for (index, segment) in segments.chunks_mut(SEALED_SEGMENT_BYTES).enumerate() {
        let index = first + index;
        let (plain, tag_place) = split_tag(segment)?;
        *tag_place = secrets.aead.seal(&nonce(index, index == last)?, plain)?;
    }
    Ok(())
}

/// Seals one message: the bytes, zeros, and the length as the last four bytes (F-16).
///
/// # Errors
/// As [`SealBuffer::seal`].
pub fn seal_message(
    key: &ObjectKey,
    context: Context,
    message: &[u8],
    random: &mut dyn Random,
) -> Result<Sealed> {
    seal_message_with_extra(key, context, &[], message, random)
}

pub(crate) fn seal_message_with_extra(
    key: &ObjectKey,
    context: Context,
    extra: &[u8],
    message: &[u8],
    random: &mut dyn Random,
) -> Result<Sealed> {
    let length = u32::try_from(message.len()).map_err(|_| Error::Internal("message length"))?;
    let mut buffer = SealBuffer::with_extra(extra, message.len() + 4);
    buffer.append(message);
    let content_id = labelled_hash(Label::HASH_MESSAGE, &[message]);
    buffer.seal(key, context, &content_id, &length.to_le_bytes(), random)
}

/// Opens what [`seal_message`] sealed.
///
/// # Errors
/// [`Error::Damaged`], one value for every reason; [`Error::NewerFormat`].
pub fn open_message(key: &ObjectKey, context: &Context, bytes: Vec<u8>) -> Result<Vec<u8>> {
    open_message_with_extra(key, context, 0, bytes)
}

pub(crate) fn open_message_with_extra(
    key: &ObjectKey,
    context: &Context,
    extra: usize,
    bytes: Vec<u8>,
) -> Result<Vec<u8>> {
    let mut plain = Opener::with_extra(key, context, extra, &bytes, bytes.len())?.open_all(bytes)?;
    let (rest, length) = plain.split_last_chunk::<4>().ok_or(Error::damaged(Part::Object))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Error::damaged(Part::Object))?;
    let padding = rest.get(length..).ok_or(Error::damaged(Part::Object))?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(Error::damaged(Part::Object));
    }
    plain.truncate(length);
    Ok(plain)
}

/// An object whose header was accepted: its segments can be opened, all or some.
pub struct Opener {
    secrets: ObjectSecrets,
    layout: Layout,
}

impl Opener {
    /// Checks the length, the magic and the commitment. `head` holds at least the header;
    /// `length` is the whole object's.
    ///
    /// # Errors
    /// [`Error::Damaged`], one value for every reason; [`Error::NewerFormat`].
    pub fn new(key: &ObjectKey, context: &Context, head: &[u8], length: usize) -> Result<Self> {
        Self::with_extra(key, context, 0, head, length)
    }

    pub(crate) fn with_extra(
        key: &ObjectKey,
        context: &Context,
        extra: usize,
        head: &[u8],
        length: usize,
    ) -> Result<Self> {
        let layout = Layout::new(HEADER_BYTES + extra, length)?;
        check_magic(head)?;
        let damaged = || Error::damaged(Part::Object);
        let salt = head.get(SALT).and_then(<[u8]>::first_chunk).ok_or_else(damaged)?;
        let commitment = head.get(COMMITMENT).ok_or_else(damaged)?;
        let secrets = key.derive(salt, context);
        if bool::from(secrets.commitment.as_slice().ct_eq(commitment)) {
            Ok(Self { secrets, layout })
        } else {
            Err(damaged())
        }
    }

    /// Plaintext bytes in the object, padding included.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.layout.capacity()
    }

    /// Opens the whole object in place.
    ///
    /// # Errors
    /// [`Error::Damaged`]; the bytes are wiped then.
    pub fn open(&self, bytes: Vec<u8>) -> Result<Opened> {
        if bytes.len() != self.layout.length() {
            return Err(Error::damaged(Part::Object));
        }
        self.open_segments((0, self.layout.header()), bytes, |_, error| Err(error))
    }

    /// Opens the whole object: its plaintext with padding, in one piece.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_all(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(self.open(bytes)?.into_plain())
    }

    /// Opens what is whole of a damaged object: as [`Self::open_all`], but with zeros for each segment that does
    /// not open.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it has another length.
    pub fn open_what_is_whole(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        if bytes.len() != self.layout.length() {
            return Err(Error::damaged(Part::Object));
        }
        let wipe = |segment: &mut [u8], _| {
            segment.zeroize();
            Ok(())
        };
        Ok(self.open_segments((0, self.layout.header()), bytes, wipe)?.into_plain())
    }

    /// Which stored bytes to fetch, as (offset, length), for `length` plaintext bytes from `offset`.
    #[must_use]
    pub fn stored_range(&self, offset: usize, length: usize) -> Option<(usize, usize)> {
        let segments = self.layout.covering(offset, length)?;
        let (start, _) = self.layout.segment(segments.start)?;
        let (last, bytes) = self.layout.segment(segments.end.checked_sub(1)?)?;
        Some((start, last + bytes - start))
    }

    /// Opens what [`Self::stored_range`] asked for and returns exactly the plaintext wanted.
    ///
    /// # Errors
    /// [`Error::Damaged`]; the bytes are wiped then.
    pub fn open_range(&self, offset: usize, length: usize, stored: Vec<u8>) -> Result<Vec<u8>> {
        let wanted = self.stored_range(offset, length).map(|(_, bytes)| bytes);
        if wanted != Some(stored.len()) {
            return Err(Error::damaged(Part::Object));
        }
        let opened = self.open_segments((offset / SEGMENT_BYTES, 0), stored, |_, error| Err(error))?;
        opened.read(offset % SEGMENT_BYTES, length).ok_or(Error::damaged(Part::Object))
    }

    /// Opens consecutive whole segments in place: from which segment on, and where its first byte is. What does
    /// not open goes to `damaged`; if that refuses it too, the bytes are wiped.
    fn open_segments(
        &self,
        (first, start): (usize, usize),
        mut bytes: Vec<u8>,
        mut damaged: impl FnMut(&mut [u8], Error) -> Result<()>,
    ) -> Result<Opened> {
        let last = self.layout.segments() - 1;
        let mut plain = 0;
        let segments = bytes.get_mut(start..).unwrap_or_default().chunks_mut(SEALED_SEGMENT_BYTES);
        for (index, segment) in segments.enumerate() {
            let index = first + index;
            let opened = self.open_segment(index, index == last, segment);
            if let Err(error) = opened.or_else(|error| damaged(segment, error)) {
                bytes.zeroize();
                return Err(error);
            }
            plain += segment.len().saturating_sub(TAG_BYTES);
        }
        Ok(Opened::new(bytes, start, plain))
    }

    fn open_segment(&self, index: usize, last: bool, segment: &mut [u8]) -> Result<()> {
        let (body, tag) = split_tag(segment)?;
        self.secrets.aead.open(&nonce(index, last)?, body, tag)
    }
}

fn check_magic(head: &[u8]) -> Result<()> {
    match head.first_chunk::<8>() {
        Some(magic) if *magic == MAGIC => Ok(()),
        Some([letters @ .., version]) if *letters == MAGIC[..7] && u32::from(*version) > FORMAT_VERSION => {
            Err(Error::NewerFormat { needed: u32::from(*version), supported: FORMAT_VERSION })
        }
        _ => Err(Error::damaged(Part::Object)),
    }
}

fn split_tag(segment: &mut [u8]) -> Result<(&mut [u8], &mut [u8; TAG_BYTES])> {
    segment.split_last_chunk_mut().ok_or(Error::damaged(Part::Object))
}

fn put(header: &mut [u8], range: std::ops::Range<usize>, bytes: &[u8]) {
    if let Some(place) = header.get_mut(range) {
        place.copy_from_slice(bytes);
    }
}
