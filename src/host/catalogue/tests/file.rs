//! The file of a catalogue: who may read it, and what it may be.

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_catalogue_is_for_its_user_alone() {
    let mut scene = Scene::new();
    scene.register("alice");
    for file in fs::read_dir(scene.dir.path()).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_backup_that_all_can_read_is_for_its_user_alone_once_it_is_opened() {
    let mut scene = Scene::new();
    scene.register("alice");
    // As `cp` does it, with or without the log, and as a link to it.
    for (has_log, has_link) in [(false, false), (true, false), (true, true)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        for (from, to) in [("catalogue.sqlite", "c"), ("catalogue.sqlite-wal", "c-wal")] {
            if has_log || !to.contains('-') {
                fs::copy(scene.dir.path().join(from), dir.path().join(to)).unwrap();
                fs::set_permissions(dir.path().join(to), Permissions::from_mode(0o644)).unwrap();
            }
        }
        let other = tempfile::tempdir().unwrap();
        let link = other.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut again = Catalogue::open(if has_link { &link } else { &path }).unwrap();
        let mut files = Vec::new();
        for file in fs::read_dir(dir.path()).unwrap() {
            let path = file.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            files.push(path.file_name().unwrap().to_owned());
        }
        files.sort_unstable();
        assert_eq!(files, ["c", "c-shm", "c-wal"]);
        let alice = again.read(|reader| reader.account(&name("alice"))).unwrap();
        assert_eq!(alice.is_some(), has_log, "what was only in the log is not in a copy without it");
    }
}

#[test]
fn an_empty_file_becomes_a_catalogue() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("empty");
    fs::write(&path, "").unwrap();
    assert!(Catalogue::open(&path).unwrap().read(|reader| reader.all_counts()).unwrap().is_empty());
}

#[test]
fn a_path_that_looks_like_a_uri_is_a_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file:x?mode=memory");
    Catalogue::open(&path).unwrap();
    assert!(fs::metadata(&path).unwrap().len() > 0);
}

#[test]
fn what_is_something_else_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("text"), "my diary\n".repeat(1_000)).unwrap();
    let database = Connection::open(path("other")).unwrap();
    database.execute_batch("CREATE TABLE a (b); INSERT INTO a VALUES (1);").unwrap();
    drop(database);
    drop(Catalogue::open(&path("later")).unwrap());
    Connection::open(path("later")).unwrap().pragma_update(None, "user_version", 1_000).unwrap();
    fs::create_dir(path("folder")).unwrap();
    for (file, says) in [
        ("text", "is not the catalogue of a conductor"),
        ("other", "is not the catalogue of a conductor"),
        ("later", "is of a later version of this program (format 1000, known is 2)"),
        ("folder", "it is a directory, not a file"),
        ("nowhere/catalogue", "cannot create"),
    ] {
        fs::set_permissions(path(file), Permissions::from_mode(0o755)).ok();
        let before = fs::read(path(file)).ok();
        let error = chain(&Catalogue::open(&path(file)).unwrap_err());
        assert!(error.contains(says) && error.contains(file.split('/').next().unwrap()), "{error}");
        assert_eq!(fs::read(path(file)).ok(), before, "{file}");
        assert!(before.is_none() || mode(&path(file)) == 0o755, "{file}");
    }
    let error = chain(&Catalogue::open_existing(&path("missing")).unwrap_err());
    assert!(error.contains("there is no catalogue") && !path("missing").exists(), "{error}");
}

#[test]
fn the_key_stays_the_same_and_is_nobody_elses() {
    let scene = Scene::new();
    let key = scene.path().with_extension("sqlite.key");
    let first = scene.catalogue.conductor_key().unwrap();
    assert!(first.is_new && mode(&key) == 0o600);
    let held = chain(&scene.catalogue.conductor_key().unwrap_err());
    assert!(held.contains("another conductor runs with the catalogue"), "{held}");
    assert_eq!(format!("{first:?}"), "ConductorKey(..)");
    let secret = first.secret.clone();
    drop(first);
    let second = scene.catalogue.conductor_key().unwrap();
    assert!(!second.is_new && second.secret == secret);
    drop(second);
    let files = fs::read_dir(scene.dir.path()).unwrap().map(|file| file.unwrap().file_name());
    assert!(files.into_iter().all(|name| !name.to_string_lossy().contains("tmp")), "nothing is left behind");

    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    let exposed = chain(&scene.catalogue.conductor_key().unwrap_err());
    assert!(exposed.contains("others can read") && exposed.contains("chmod 600"), "{exposed}");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    for text in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"0".repeat(10_000)] {
        fs::write(&key, text).unwrap();
        let error = scene.catalogue.conductor_key().unwrap_err();
        assert!(matches!(error, CatalogueError::NoKey { .. }), "{text}: {error}");
        assert_eq!(fs::read_to_string(&key).unwrap(), text, "it stays for a look");
    }
    let other = Scene::new();
    assert_ne!(other.catalogue.conductor_key().unwrap().secret, secret);
}
