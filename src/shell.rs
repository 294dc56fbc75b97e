//! Words of commands, as people can type or copy them.

use std::path::Path;

use crate::text::is_deceptive;

/// A path as one word of a command that can be typed.
#[must_use]
pub fn word(path: &Path) -> String {
    let text = path.to_string_lossy();
    // Else it would be an option.
    if text.starts_with('-') { quoted(&format!("./{text}")) } else { quoted(&text) }
}

/// A text, which is no path, as the last words of a command that can be typed: one, or two where it would be an option.
#[must_use]
pub fn words(text: &str) -> String {
    if text.starts_with('-') { format!("-- {}", quoted(text)) } else { quoted(text) }
}

/// What a shell reads as this text.
fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,@%:=".contains(letter);
    if !text.contains(is_deceptive) {
        let is_word = !text.is_empty() && text.chars().all(is_plain);
        return if is_word { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) };
    }
    // What a terminal would not show is named by its number, as bash and zsh read it.
    let letter = |letter: char| match letter {
        '\'' | '\\' => format!("\\{letter}"),
        _ if is_deceptive(letter) => format!("\\U{:08x}", u32::from(letter)),
        _ => letter.to_string(),
    };
    format!("$'{}'", text.chars().map(letter).collect::<String>())
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
            ("a\u{1b}[2J", r"$'a\U0000001b[2J'"),
            ("gpj\u{202e}it's\\", r"$'gpj\U0000202eit\'s\\'"),
            ("", "''"),
        ] {
            assert_eq!(word(Path::new(path)), expected);
        }
        assert_eq!(words("my song@2953289a"), "'my song@2953289a'");
        assert_eq!(words("-rf"), "-- -rf");
    }
}
