//! Reads a file of the crate: the paths that it names, and where they lead.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

/// Methods whose answers come in the order of a hash map, which differs from run to run.
const HASH_ORDER: &[&str] = &[
    "drain",
    "extract_if",
    "into_iter",
    "into_keys",
    "into_values",
    "iter",
    "iter_mut",
    "keys",
    "retain",
    "values",
    "values_mut",
];

/// A path such as `std::fs::read`, where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    path: Vec<String>,
    pub(crate) line: usize,
    pub(crate) in_test: bool,
    /// The inline modules around it.
    inside: Vec<String>,
}

/// One file and the paths in it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    /// Where the crate has this file.
    pub(crate) module: Vec<String>,
    pub(crate) found: Vec<Found>,
    /// What `use` lines name, and the whole path behind each name; tests have names of their own.
    imports: BTreeMap<(bool, String), Vec<String>>,
    /// All tokens in a row, with their lines.
    flat: Vec<(String, usize)>,
}

impl Source {
    /// Reads the text of a file; `name` is its path below `src/`.
    pub(crate) fn read(name: &str, text: &str) -> Source {
        let stem = name.strip_suffix(".rs").expect("only Rust is read");
        let mut module: Vec<String> = stem.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod" || last == "lib") {
            module.pop();
        }
        let in_test = module.last().is_some_and(|last| last == "tests");
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        let (found, imports, flat) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut source = Source { name: name.to_owned(), module, found, imports, flat };
        source.flatten(tokens.clone(), in_test);
        source.walk(tokens, in_test, &[]);
        source
    }

    /// Collects the paths in these tokens.
    fn walk(&mut self, tokens: TokenStream, in_test: bool, inside: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            match (first, after) {
                (TokenTree::Punct(hash), [TokenTree::Group(attribute), after @ ..])
                    if hash.as_char() == '#' && is_cfg_test(&attribute.stream()) =>
                {
                    let (item, after) = after.split_at(item_len(after));
                    self.walk(item.iter().cloned().collect(), true, inside);
                    rest = after;
                }
                (TokenTree::Ident(keyword), [TokenTree::Ident(name), TokenTree::Group(body), after @ ..])
                    if keyword == "mod" =>
                {
                    let inside = [inside, &[name.to_string()]].concat();
                    self.walk(body.stream(), in_test, &inside);
                    rest = after;
                }
                (TokenTree::Ident(keyword), _) if keyword == "use" => {
                    rest = self.tree(after, &[], in_test, inside);
                }
                (TokenTree::Ident(ident), _) => rest = self.path(ident, after, in_test, inside),
                (TokenTree::Group(group), _) => self.walk(group.stream(), in_test, inside),
                _ => {}
            }
        }
    }

    /// Collects the path that begins with this word; yields what follows it.
    fn path<'t>(
        &mut self,
        first: &Ident,
        mut rest: &'t [TokenTree],
        in_test: bool,
        inside: &[String],
    ) -> &'t [TokenTree] {
        let mut path = vec![first.to_string()];
        while let Some([TokenTree::Ident(next), after @ ..]) = after_colons(rest) {
            path.push(next.to_string());
            rest = after;
        }
        let line = first.span().start().line;
        self.found.push(Found { path, line, in_test, inside: inside.to_vec() });
        rest
    }

    /// Collects what one tree of a `use` line names; yields what follows it.
    fn tree<'t>(
        &mut self,
        mut rest: &'t [TokenTree],
        prefix: &[String],
        in_test: bool,
        inside: &[String],
    ) -> &'t [TokenTree] {
        let mut path = prefix.to_vec();
        let mut line = 0;
        loop {
            rest = after_colons(rest).unwrap_or(rest);
            match rest {
                [TokenTree::Ident(keyword), TokenTree::Ident(alias), after @ ..] if keyword == "as" => {
                    self.imports.insert((in_test, alias.to_string()), path.clone());
                    rest = after;
                }
                [TokenTree::Ident(next), after @ ..] => {
                    line = next.span().start().line;
                    if next != "self" || path.is_empty() {
                        path.push(next.to_string());
                    }
                    rest = after;
                }
                [TokenTree::Punct(star), after @ ..] if star.as_char() == '*' => {
                    line = star.span().start().line;
                    path.push("*".to_owned());
                    rest = after;
                }
                [TokenTree::Group(group), after @ ..] if group.delimiter() == Delimiter::Brace => {
                    let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
                    for tree in tokens.split(|token| is_punct(Some(token), ',')) {
                        self.tree(tree, &path, in_test, inside);
                    }
                    return after;
                }
                _ => break,
            }
        }
        if let Some(last) = path.last().filter(|_| line > 0) {
            self.imports.entry((in_test, last.clone())).or_insert_with(|| path.clone());
            self.found.push(Found { path, line, in_test, inside: inside.to_vec() });
        }
        rest
    }

    fn flatten(&mut self, tokens: TokenStream, in_test: bool) {
        if in_test {
            return;
        }
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            let line = first.span().start().line;
            match (first, after) {
                (TokenTree::Punct(hash), [TokenTree::Group(attribute), after @ ..])
                    if hash.as_char() == '#' && is_cfg_test(&attribute.stream()) =>
                {
                    rest = &after[item_len(after)..];
                }
                (TokenTree::Group(group), _) => {
                    self.flat.push(("(".to_owned(), line));
                    self.flatten(group.stream(), in_test);
                    self.flat.push((")".to_owned(), group.span_close().start().line));
                }
                _ => self.flat.push((first.to_string(), line)),
            }
        }
    }

    pub(crate) fn resolve(&self, found: &Found) -> Target {
        let mut path = found.path.clone();
        let import = self.imports.get(&(found.in_test, path[0].clone()));
        if let Some(import) = import.filter(|import| **import != path && import[0] != path[0]) {
            path.splice(..1, import.iter().cloned());
        }
        let mut module = [self.module.as_slice(), &found.inside].concat();
        match path[0].as_str() {
            "crate" => module.clear(),
            // A program has no room of the library around it.
            "orchestra" if self.module[0] == "bin" => module.clear(),
            "self" if path.len() > 1 => {}
            "super" => {
                while path.first().is_some_and(|first| first == "super") {
                    path.remove(0);
                    module.pop();
                }
                return Target::Ours([module, path].concat());
            }
            "core" | "alloc" => {
                path[0] = "std".to_owned();
                return Target::Outside(path);
            }
            _ => return Target::Outside(path),
        }
        module.extend(path.into_iter().skip(1));
        Target::Ours(module)
    }

    /// The lines on which something comes in the order of a hash map that this file names.
    pub(crate) fn hash_order(&self) -> Vec<usize> {
        let word = |at: usize| self.flat.get(at).map_or("", |(word, _)| word.as_str());
        let is_hash = |word: &str| word == "HashMap" || word == "HashSet";
        // `name: HashMap<…>`, `name = HashMap::new()`.
        let maps: BTreeSet<&str> = (1..self.flat.len())
            .filter(|&at| is_hash(word(at)) && matches!(word(at - 1), ":" | "="))
            .map(|at| word(at - 2))
            .collect();
        (0..self.flat.len())
            .filter(|&at| maps.contains(word(at)))
            .filter(|&at| {
                let is_asked = word(at + 1) == "." && HASH_ORDER.contains(&word(at + 2));
                // `for x in &self.name {`
                let is_walked =
                    word(at + 1) == "(" && (1..=5).any(|back| at >= back && word(at - back) == "in");
                is_asked || is_walked
            })
            .map(|at| self.flat[at].1)
            .collect()
    }
}

/// A path, told from where it leads.
pub(crate) enum Target {
    /// Into this crate, from its root.
    Ours(Vec<String>),
    /// Out of it, or to something beside it.
    Outside(Vec<String>),
}

/// What follows `::`, if that is next.
fn after_colons(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    let colons = is_punct(tokens.first(), ':') && is_punct(tokens.get(1), ':');
    colons.then(|| &tokens[2..])
}

fn is_punct(token: Option<&TokenTree>, letter: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == letter)
}

fn is_cfg_test(attribute: &TokenStream) -> bool {
    attribute.to_string().split_whitespace().collect::<String>() == "cfg(test)"
}

/// How many tokens the item at the beginning has: up to its `;` or its braces.
fn item_len(tokens: &[TokenTree]) -> usize {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_punct(Some(token), ';'),
    };
    tokens.iter().position(is_end).map_or(tokens.len(), |end| end + 1)
}
