use super::*;
use crate::limits::{NAME_LEN_MAX, PART_LEN_MAX, PARTS_MAX};
use proptest::prelude::*;

const ABC: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

/// Two parts of 10 bytes and one of 5.
fn sample() -> String {
    format!("192.168.1.1:9999\nsample.bin\n{ABC}\n25\n10\n3\n{ABC}\n{ABC}\n{ABC}\n")
}

/// The sample with one line (counted from 1) replaced.
fn with_line(number: usize, text: &str) -> String {
    let mut lines: Vec<String> = sample().lines().map(str::to_owned).collect();
    text.clone_into(&mut lines[number - 1]);
    lines.join("\n") + "\n"
}

/// Asserts that this text is refused at this line, with this message after the line's number.
#[track_caller]
fn refused(text: impl AsRef<[u8]>, line: usize, message: &str) {
    let error = Manifest::parse(text.as_ref()).unwrap_err();
    assert_eq!(error.to_string(), format!("line {line} {message}"));
}

#[test]
fn every_line_is_read() {
    let manifest = Manifest::parse(sample().as_bytes()).unwrap();
    assert_eq!(manifest.conductor().to_string(), "192.168.1.1:9999");
    assert_eq!(manifest.name().as_str(), "sample.bin");
    assert_eq!(manifest.digest(), Digest::of(b"abc"));
    assert_eq!(manifest.layout(), Layout::new(25, 10).unwrap());
    assert_eq!(manifest.part_digests(), [Digest::of(b"abc"); 3]);
    assert_eq!(manifest.part_digest(manifest.layout().part(2).unwrap()), Digest::of(b"abc"));
    assert_eq!(manifest.render(), sample());
}

#[test]
fn what_editors_do_to_a_text_changes_nothing() {
    let manifest = Manifest::parse(sample().as_bytes()).unwrap();
    let text = sample();
    let variants = [
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        text.replace('\n', "\r\n").trim_end().to_owned(),
        text.replace(ABC, &ABC.to_uppercase()),
        format!("\u{feff}{text}"),
        format!("{text}\n\r\n\n"),
        text.replace(":9999", ""),
    ];
    for variant in variants {
        assert_eq!(Manifest::parse(variant.as_bytes()), Ok(manifest.clone()), "{variant:?}");
    }
}

/// The original programs write paths, and know the composition by what stands there.
#[test]
fn a_path_is_kept_beside_the_name() {
    let manifest = Manifest::parse(sample().as_bytes()).unwrap();
    assert_eq!(manifest.spelled_name(), "sample.bin");
    for path in ["files/sample.bin", ".\\sample.bin", "/home/x/sample.bin"] {
        let text = sample().replace("sample.bin", path);
        let spelled = Manifest::parse(text.replace('\n', "\r\n").as_bytes()).unwrap();
        assert_eq!((spelled.spelled_name(), spelled.name()), (path, manifest.name()));
        assert_eq!((spelled.swarm_id(), spelled.render()), (manifest.swarm_id(), text));
    }
}

#[test]
fn an_empty_composition_has_no_part_lines() {
    let text = format!("localhost:1\nnothing\n{}\n0\n16384\n0\n", Digest::of(b""));
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    assert_eq!(manifest.layout().parts(), 0);
    assert_eq!(manifest.render(), text);
    refused(
        text.replace("\n0\n16384\n0\n", "\n0\n16384\n1\n"),
        6,
        "(number of parts): 0 was expected, for 0 bytes in parts of 16384",
    );
}

#[test]
fn unknown_extensions_are_read_over_and_broken_ones_are_not() {
    let manifest = Manifest::parse(sample().as_bytes()).unwrap();
    let text = sample() + "signed-by alice and bob\n\ncolour grün\n";
    assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest));
    let message = "(after the last part): after the last part only lines like \"key value\" were expected";
    for line in [ABC, "key", " value", "key ", "ключ value"] {
        refused(format!("{}good one\n{line}\n", sample()), 11, message);
    }
    refused(
        [sample().as_bytes(), b"key \xff\n"].concat(),
        10,
        "(after the last part): UTF-8 text was expected",
    );
}

#[test]
fn every_refusal_names_line_and_expectation() {
    let digest = "40 hex digits were expected";
    let number = "a number in plain digits, at most 18446744073709551615, was expected";
    refused("", 1, "(conductor): the text ends before it");
    refused(
        with_line(1, ""),
        1,
        "(conductor): HOST:PORT was expected, with a host name or an IP address as HOST",
    );
    refused(with_line(1, "::1"), 1, "(conductor): an IPv6 address must stand in brackets, like [::1]:9999");
    refused(
        with_line(1, "host:99999"),
        1,
        "(conductor): a port from 1 to 65535 was expected after the colon",
    );
    refused(with_line(2, ""), 2, "(name): a file name was expected, not an empty one");
    refused(with_line(2, "a/.."), 2, "(name): a file name was expected, not one that means a directory");
    refused(with_line(2, "a\0"), 2, "(name): a file name without control characters was expected");
    let long = "x".repeat(NAME_LEN_MAX + 1);
    refused(
        with_line(2, &long),
        2,
        "(name): a file name of at most 255 bytes was expected, this one has 256",
    );
    refused(b"localhost\n\xff\xfe\n", 2, "(name): UTF-8 text was expected");
    refused(with_line(3, &ABC[1..]), 3, &format!("(SHA-1 of the whole): {digest}"));
    for text in ["", "-1", "+1", " 1", "1 ", "0x10", "1e3", "٣", "18446744073709551616", "1K"] {
        refused(with_line(4, text), 4, &format!("(size in bytes): {number}"));
    }
    refused(with_line(5, "ten"), 5, &format!("(part size in bytes): {number}"));
    for text in ["0", "16777217", "18446744073709551615"] {
        let message = "(part size in bytes): a part size from 1 to 16777216 bytes was expected";
        refused(with_line(5, text), 5, message);
    }
    refused(
        with_line(4, "10485761"),
        5,
        "(part size in bytes): this makes 1048577 parts, and 1048576 are the most; larger parts are needed",
    );
    for text in ["2", "4", "0", "4294967299", "18446744073709551615"] {
        let message = "(number of parts): 3 was expected, for 25 bytes in parts of 10";
        refused(with_line(6, text), 6, message);
    }
    refused(with_line(6, "three"), 6, &format!("(number of parts): {number}"));
    refused(with_line(8, "xyz"), 8, &format!("(SHA-1 of part 2): {digest}"));
}

#[test]
fn a_text_that_ends_early_names_what_is_missing() {
    let lines: Vec<String> = sample().lines().map(str::to_owned).collect();
    let fields = [
        "conductor",
        "name",
        "SHA-1 of the whole",
        "size in bytes",
        "part size in bytes",
        "number of parts",
        "SHA-1 of part 1",
        "SHA-1 of part 2",
        "SHA-1 of part 3",
    ];
    for (kept, field) in fields.into_iter().enumerate() {
        refused(lines[..kept].join("\n"), kept + 1, &format!("({field}): the text ends before it"));
    }
}

#[test]
fn a_claimed_number_of_parts_allocates_nothing() {
    let text = format!("h\nn\n{ABC}\n{}\n{PART_LEN_MAX}\n{PARTS_MAX}\n{ABC}", u64::from(PARTS_MAX) << 24);
    refused(text, 8, "(SHA-1 of part 2): the text ends before it");

    let most = Layout::new(u64::from(PARTS_MAX), 1).unwrap();
    assert_eq!(digests_possible(most, ABC.as_bytes()), 1);
    let few = Layout::new(2, 1).unwrap();
    assert_eq!(digests_possible(few, &[0; 4_000]), 2);
}

fn names() -> impl Strategy<Value = Name> {
    any::<String>().prop_filter_map("a usable name", |text| Name::parse(&text).ok())
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        name in names(),
        port in 1..=u16::MAX,
        (size, part_len) in (0u64..5_000, 1u64..5_000),
        seed: u64,
    ) {
        let conductor: HostPort = format!("[::1]:{port}").parse().unwrap();
        let layout = Layout::new(size, part_len).unwrap();
        let digests = layout.all().map(|part| Digest::of(&(seed ^ layout.offset(part)).to_le_bytes())).collect();
        let manifest = Manifest::new(conductor, name, Digest::of(b"whole"), layout, digests);
        let text = manifest.render();
        prop_assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest.clone()));
        prop_assert_eq!(Manifest::parse(text.replace('\n', "\r\n").as_bytes()), Ok(manifest));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        drop(Manifest::parse(&bytes));
    }

    #[test]
    fn a_damaged_manifest_is_read_or_refused(
        at in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        with in any::<Vec<u8>>(),
    ) {
        let mut bytes = sample().into_bytes();
        let start = at.index(bytes.len());
        let end = start + cut.index(bytes.len() - start);
        bytes.splice(start..end, with);
        // What is taken for a manifest is one: its text reads back the same.
        if let Ok(manifest) = Manifest::parse(&bytes) {
            prop_assert_eq!(Manifest::parse(manifest.render().as_bytes()), Ok(manifest));
        }
    }

    #[test]
    fn hostile_numbers_are_read_or_refused(size: u64, part_len: u64, parts: u64) {
        let text = format!("h\nn\n{ABC}\n{size}\n{part_len}\n{parts}\n{ABC}\n");
        prop_assert!(Manifest::parse(text.as_bytes()).is_err());
    }
}
