//! The page: what stands on it.

use std::collections::BTreeMap;

pub(crate) const PAGE: &str = include_str!("../../PROTOCOL.md");

/// The text inside every block with this fence.
pub(crate) fn blocks(kind: &str) -> Vec<String> {
    let fence = format!("```{kind}");
    let mut blocks = Vec::new();
    let mut lines = PAGE.lines();
    while lines.any(|line| line == fence) {
        let inside = lines.by_ref().take_while(|line| *line != "```");
        blocks.push(inside.map(|line| format!("{line}\n")).collect());
    }
    blocks
}

/// The `name: value` lines of every block with this fence.
pub(crate) fn named(kind: &str) -> BTreeMap<String, String> {
    let mut named = BTreeMap::new();
    for line in blocks(kind).iter().flat_map(|block| block.lines()) {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no value in {line:?}"));
        assert!(named.insert(name.to_owned(), value.to_owned()).is_none(), "{name} stands twice");
    }
    named
}

/// Compares the page with the code, and says for each difference what the page should say.
pub(crate) fn agree(page: &BTreeMap<String, String>, code: &BTreeMap<String, String>) {
    let wrong = code.iter().filter(|(name, value)| page.get(*name) != Some(value));
    let wrong: Vec<String> = wrong.map(|(name, value)| format!("{name}: {value}")).collect();
    assert!(wrong.is_empty(), "PROTOCOL.md should say:\n{}", wrong.join("\n"));
    let unknown: Vec<&String> = page.keys().filter(|name| !code.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "PROTOCOL.md has vectors that nothing makes: {unknown:?}");
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is derived in this context, which must stand on the page.
pub(crate) fn derive(context: &str, bytes: &[u8]) -> [u8; 32] {
    assert!(PAGE.contains(&format!("`{context}`")), "{context} is not on the page");
    blake3::derive_key(context, bytes)
}
