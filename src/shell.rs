//! Words of commands, as people can type or copy them.

use std::path::Path;

use crate::text::Escaped;

/// A path as one word of a command that can be typed.
#[must_use]
pub fn word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = if text.starts_with('-') { format!("./{text}") } else { text.into_owned() };
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,@%:=".contains(letter);
    if text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", Escaped(&text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_words_that_can_be_typed() {
        for (path, expected) in [
            ("song.flac.orch", "song.flac.orch"),
            ("dir/söng", "dir/söng"),
            ("my song", "'my song'"),
            ("it's", r"'it'\''s'"),
            ("-rf", "./-rf"),
            ("$(x)", "'$(x)'"),
            ("a\u{1b}[2J", r"'a\u{1b}[2J'"),
        ] {
            assert_eq!(word(Path::new(path)), expected);
        }
    }
}
