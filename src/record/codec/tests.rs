use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::*;

const ALL: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// Bytes that compress, but not to nothing.
fn text(bytes: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut output = Vec::with_capacity(bytes + 16);
    while output.len() < bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let word = [&b"lorem "[..], b"ipsum ", b"dolor ", b"sit ", b"amet "][(state >> 24) as usize % 5];
        output.extend_from_slice(word);
        if state.is_multiple_of(7) {
            output.extend_from_slice(&state.to_be_bytes());
        }
    }
    output.truncate(bytes);
    output
}

fn compressed(compression: Compression, input: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    compress(compression, CompressionLevel::Default, input, &mut output).unwrap();
    output
}

fn lz4_frame(frame: FrameInfo, input: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(frame, Vec::new());
    encoder.write_all(input).unwrap();
    encoder.finish().unwrap()
}

fn expand(compression: Compression, input: &[u8]) -> Result<Vec<u8>, RecordFault> {
    Decompressor::new(16 << 20)
        .expand(compression, input)
        .map(<[u8]>::to_vec)
}

#[test]
fn what_is_compressed_expands_again() {
    let mut decompressor = Decompressor::new(16 << 20);
    for bytes in [0, 1, 100, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3_000_000] {
        let input = text(bytes);
        for compression in ALL {
            let output = compressed(compression, &input);
            assert_eq!(
                decompressor.expand(compression, &output).unwrap(),
                input,
                "{compression:?} of {bytes}"
            );
        }
    }
}

#[test]
fn levels_of_compression() {
    let input = text(200_000);
    for (compression, fast, small) in [(Compression::Gzip, 1, 9), (Compression::Zstd, 1, 22)] {
        let size_of = |level| {
            let mut output = Vec::new();
            compress(compression, CompressionLevel::Level(level), &input, &mut output).unwrap();
            assert_eq!(expand(compression, &output).unwrap(), input);
            output.len()
        };
        assert!(size_of(small) < size_of(fast), "{compression:?}");
    }
}

#[test]
fn the_limit_is_exact() {
    let input = text(100_000);
    for compression in ALL {
        let output = compressed(compression, &input);
        assert!(
            Decompressor::new(100_000).expand(compression, &output).is_ok(),
            "{compression:?}"
        );
        let refused = Decompressor::new(99_999).expand(compression, &output).map(<[u8]>::len);
        assert_eq!(refused, Err(RecordFault::Expanded), "{compression:?}");
    }
}

#[test]
fn streams_may_be_joined() {
    let (first, second) = (text(70_000), text(1_000));
    for compression in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let joined = [compressed(compression, &first), compressed(compression, &second)].concat();
        assert_eq!(
            expand(compression, &joined).unwrap(),
            [&first[..], &second[..]].concat(),
            "{compression:?}"
        );
    }
}

#[test]
fn raw_snappy() {
    let input = text(300_000);
    let mut output = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    assert_eq!(expand(Compression::Snappy, &output).unwrap(), input);
    output.truncate(output.len() - 1);
    assert!(expand(Compression::Snappy, &output).is_err());
    let claims_4_gib = b"\xff\xff\xff\xff\x0f\x00a";
    assert_eq!(expand(Compression::Snappy, claims_4_gib), Err(RecordFault::Expanded));
    let claims_1_mib = b"\x80\x80\x40\x00a";
    assert_eq!(expand(Compression::Snappy, claims_1_mib), Err(RecordFault::Compressed));
}

#[test]
fn snappy_expands_at_most_as_far_as_its_limit_says() {
    let zeroes = vec![0; 1 << 20];
    let output = snap::raw::Encoder::new().compress_vec(&zeroes).unwrap();
    assert!(output.len() * 22 > zeroes.len(), "{}", output.len());
    assert_eq!(expand(Compression::Snappy, &output).unwrap(), zeroes);
}

#[test]
fn lz4_frames_of_all_kinds() {
    let input = text(6_000_000);
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [
            BlockSize::Max64KB,
            BlockSize::Max256KB,
            BlockSize::Max1MB,
            BlockSize::Max4MB,
        ] {
            let plain = FrameInfo::new().block_mode(mode).block_size(size);
            let full = plain
                .clone()
                .block_checksums(true)
                .content_checksum(true)
                .content_size(Some(input.len() as u64));
            for frame in [plain, full] {
                let output = lz4_frame(frame, &input);
                assert!(expand(Compression::Lz4, &output).unwrap() == input, "{mode:?} {size:?}");
            }
        }
    }
}

#[test]
fn lz4_blocks_that_do_not_compress_are_stored() {
    let mut state = 7u64;
    let noise: Vec<u8> = (0..200_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .collect();
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        let output = lz4_frame(FrameInfo::new().block_mode(mode), &noise);
        assert!(output.len() > noise.len());
        assert!(expand(Compression::Lz4, &output).unwrap() == noise);
    }
}

#[test]
fn lz4_checksums_are_verified() {
    let frame = FrameInfo::new().block_checksums(true);
    let good = lz4_frame(frame, &text(1_000));
    for at in [4, 5, 6, 20, good.len() - 6] {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        assert_eq!(
            expand(Compression::Lz4, &bad),
            Err(RecordFault::Compressed),
            "byte {at}"
        );
    }
}

#[test]
fn gzip_headers_with_every_field() {
    let plain = compressed(Compression::Gzip, b"records");
    let mut full = b"\x1f\x8b\x08\x1e\0\0\0\0\0\xff\x03\0abcname\0comment\0\x12\x34".to_vec();
    full.extend_from_slice(&plain[10..]);
    assert_eq!(expand(Compression::Gzip, &full).unwrap(), b"records");
    for at in [0, 1, 2, 3] {
        let mut bad = plain.clone();
        bad[at] ^= 0x80;
        assert_eq!(
            expand(Compression::Gzip, &bad),
            Err(RecordFault::Compressed),
            "byte {at}"
        );
    }
    for at in plain.len() - 8..plain.len() {
        let mut bad = plain.clone();
        bad[at] ^= 1;
        assert_eq!(
            expand(Compression::Gzip, &bad),
            Err(RecordFault::Compressed),
            "byte {at}"
        );
    }
}

#[test]
fn a_workspace_is_as_new_after_an_error() {
    let input = text(300_000);
    let mut decompressor = Decompressor::new(16 << 20);
    for compression in ALL {
        let good = compressed(compression, &input);
        if compression != Compression::None {
            assert!(
                decompressor.expand(compression, &good[..good.len() / 2]).is_err(),
                "{compression:?}"
            );
        }
        assert!(
            decompressor.expand(compression, &good).unwrap() == input,
            "{compression:?}"
        );
    }
}

#[test]
fn large_workspaces_are_let_go() {
    let input = text(10_000_000);
    let mut decompressor = Decompressor::new(16 << 20);
    let output = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    let mut expansion = Expansion::new(&mut decompressor, Compression::Snappy, &output);
    while expansion.next_chunk() == Ok(true) {}
    drop(expansion);
    assert!(decompressor.held_bytes() < KEPT_BYTES_MAX);
}

#[test]
fn levels_that_may_take_long_are_known() {
    use CompressionLevel::{Default, Level};
    for (compression, level, expected) in [
        (Compression::None, Default, true),
        (Compression::Gzip, Default, true),
        (Compression::Gzip, Level(6), true),
        (Compression::Gzip, Level(7), false),
        (Compression::Snappy, Default, true),
        (Compression::Lz4, Level(17), true),
        (Compression::Zstd, Default, true),
        (Compression::Zstd, Level(-7), true),
        (Compression::Zstd, Level(6), true),
        (Compression::Zstd, Level(7), false),
    ] {
        assert_eq!(level.is_brief(compression), expected, "{compression:?} {level:?}");
    }
}
