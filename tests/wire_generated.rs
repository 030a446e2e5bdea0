//! `src/wire/messages.rs` is what `proto/strongroom/v1/*.proto` says. Regenerate it with
//! `STRONGROOM_REGENERATE=1 cargo test --test wire_generated`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "test code"
)]

use std::{fs, path::Path};

use prost::Message as _;

#[test]
fn generated_messages_match_the_proto_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let protos = ["content", "history", "keys", "local", "record", "tree", "enrollment"]
        .map(|name| root.join(format!("proto/strongroom/v1/{name}.proto")));
    let descriptors = protox::compile(&protos, [root.join("proto")]).expect("the proto files compile");
    // protox and prost-build may carry different prost versions: pass the set as bytes.
    let descriptors = prost_types::FileDescriptorSet::decode(descriptors.encode_to_vec().as_slice())
        .expect("a descriptor set");
    let out = tempfile::tempdir().expect("a folder");
    prost_build::Config::new()
        .skip_debug(["."])
        .out_dir(out.path())
        .compile_fds(descriptors)
        .expect("code is generated");
    let generated = fs::read_to_string(out.path().join("strongroom.v1.rs")).expect("one file");
    let committed = root.join("src/wire/messages.rs");
    if std::env::var_os("STRONGROOM_REGENERATE").is_some() {
        fs::write(&committed, &generated).expect("written");
    }
    assert!(generated == fs::read_to_string(committed).unwrap_or_default(), "messages.rs is out of date");
}
