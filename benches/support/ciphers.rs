//! ChaCha20-Poly1305 bare, as this and other implementations have it: 64 KiB at a time, in place, tag apart.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{AeadInOut as _, inout::InOutBuf},
};

/// What a segment is sealed with when nothing else is done.
pub(crate) trait Bare {
    fn seal(&mut self, segment: &mut [u8]) -> [u8; TAG];
    fn open(&mut self, segment: &mut [u8], tag: &[u8; TAG]);
}

/// Bytes of a segment's plaintext.
pub(crate) const SEGMENT: usize = 64 * 1024;
/// Bytes of its tag.
pub(crate) const TAG: usize = 16;
const KEY: [u8; 32] = [3; 32];
const NONCE: [u8; 12] = [4; 12];

/// Every implementation in this build; the first is the crate's default.
pub(crate) fn all() -> Vec<(&'static str, Box<dyn Bare>)> {
    let default: Box<dyn Bare> = Box::new(ChaCha20Poly1305::new(&KEY.into()));
    let mut all = vec![("chacha20poly1305", default)];
    #[cfg(feature = "bench-peers")]
    all.extend(peers::all());
    agree(&mut all);
    all
}

/// Segments with their tags, as every implementation seals them.
pub(crate) fn sealed(length: usize) -> (Vec<u8>, Vec<[u8; TAG]>) {
    let (mut bytes, mut cipher) = (vec![7; length], ChaCha20Poly1305::new(&KEY.into()));
    let tags = bytes.chunks_mut(SEGMENT).map(|segment| cipher.seal(segment)).collect();
    (bytes, tags)
}

/// A comparison of ciphers that give different bytes would be none. The tag stands for the bytes.
fn agree(all: &mut [(&'static str, Box<dyn Bare>)]) {
    let plain = vec![9; 5000];
    let mut sealed = plain.clone();
    let tag = all[0].1.seal(&mut sealed);
    for (name, cipher) in all {
        assert_eq!(cipher.seal(&mut plain.clone()), tag, "{name}");
        cipher.open(&mut sealed.clone(), &tag);
    }
}

impl Bare for ChaCha20Poly1305 {
    fn seal(&mut self, segment: &mut [u8]) -> [u8; TAG] {
        self.encrypt_inout_detached(&NONCE.into(), &[], InOutBuf::from(segment)).unwrap().into()
    }

    fn open(&mut self, segment: &mut [u8], tag: &[u8; TAG]) {
        self.decrypt_inout_detached(&NONCE.into(), &[], InOutBuf::from(segment), tag.into()).unwrap();
    }
}

#[cfg(feature = "bench-peers")]
mod peers {
    use alkali::symmetric::aead::chacha20poly1305_ietf as sodium;
    use aws_lc_rs::aead as aws;
    use ring::aead as ring;

    use super::{Bare, KEY, NONCE, SEGMENT, TAG};

    pub(super) fn all() -> Vec<(&'static str, Box<dyn Bare>)> {
        let ring = ring::UnboundKey::new(&ring::CHACHA20_POLY1305, &KEY).unwrap();
        let aws = aws::UnboundKey::new(&aws::CHACHA20_POLY1305, &KEY).unwrap();
        let sodium = Sodium { key: sodium::Key::try_from(&KEY).unwrap(), out: vec![0; SEGMENT] };
        vec![
            ("ring", Box::new(ring::LessSafeKey::new(ring))),
            ("aws-lc", Box::new(aws::LessSafeKey::new(aws))),
            ("libsodium", Box::new(sodium)),
            #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
            ("openssl", Box::new(super::wide::Openssl::new())),
        ]
    }

    impl Bare for ring::LessSafeKey {
        fn seal(&mut self, segment: &mut [u8]) -> [u8; TAG] {
            let nonce = ring::Nonce::assume_unique_for_key(NONCE);
            let tag = self.seal_in_place_separate_tag(nonce, ring::Aad::empty(), segment).unwrap();
            tag.as_ref().try_into().unwrap()
        }

        fn open(&mut self, segment: &mut [u8], tag: &[u8; TAG]) {
            let nonce = ring::Nonce::assume_unique_for_key(NONCE);
            let tag = ring::Tag::from(*tag);
            self.open_in_place_separate_tag(nonce, ring::Aad::empty(), tag, segment, 0..).unwrap();
        }
    }

    impl Bare for aws::LessSafeKey {
        fn seal(&mut self, segment: &mut [u8]) -> [u8; TAG] {
            let nonce = aws::Nonce::assume_unique_for_key(NONCE);
            let tag = self.seal_in_place_separate_tag(nonce, aws::Aad::empty(), segment).unwrap();
            tag.as_ref().try_into().unwrap()
        }

        fn open(&mut self, segment: &mut [u8], tag: &[u8; TAG]) {
            let nonce = aws::Nonce::assume_unique_for_key(NONCE);
            self.open_in_place_separate_tag(nonce, aws::Aad::empty(), tag, segment).unwrap();
        }
    }

    /// Its safe binding cannot work in place: from the segment into one buffer that stays warm.
    struct Sodium {
        key: sodium::Key<alkali::mem::FullAccess>,
        out: Vec<u8>,
    }

    impl Bare for Sodium {
        fn seal(&mut self, segment: &mut [u8]) -> [u8; TAG] {
            sodium::encrypt_detached(segment, None, &self.key, &NONCE, &mut self.out).unwrap().1
        }

        fn open(&mut self, segment: &mut [u8], tag: &[u8; TAG]) {
            sodium::decrypt_detached(segment, None, tag, &self.key, &NONCE, &mut self.out).unwrap();
        }
    }
}

#[cfg(all(feature = "bench-peers", target_os = "linux", target_arch = "x86_64"))]
mod wide {
    use openssl::{cipher::Cipher, cipher_ctx::CipherCtx};

    use super::{Bare, KEY, NONCE, TAG};

    /// One context for all segments, as who only wants to be fast would have it.
    pub(super) struct Openssl {
        cipher: Cipher,
        context: CipherCtx,
    }

    impl Openssl {
        pub(super) fn new() -> Self {
            openssl::init();
            let cipher = Cipher::fetch(None, "ChaCha20-Poly1305", None).unwrap();
            Self { cipher, context: CipherCtx::new().unwrap() }
        }
    }

    impl Bare for Openssl {
        fn seal(&mut self, segment: &mut [u8]) -> [u8; TAG] {
            self.context.encrypt_init(Some(&self.cipher), Some(&KEY), Some(&NONCE)).unwrap();
            self.context.cipher_update_inplace(segment, segment.len()).unwrap();
            self.context.cipher_final(&mut []).unwrap();
            let mut tag = [0; TAG];
            self.context.tag(&mut tag).unwrap();
            tag
        }

        fn open(&mut self, segment: &mut [u8], tag: &[u8; TAG]) {
            self.context.decrypt_init(Some(&self.cipher), Some(&KEY), Some(&NONCE)).unwrap();
            self.context.set_tag(tag).unwrap();
            self.context.cipher_update_inplace(segment, segment.len()).unwrap();
            self.context.cipher_final(&mut []).unwrap();
        }
    }
}
