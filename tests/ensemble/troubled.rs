//! Folders that are emptied or elsewhere: it is told, the others go on, and nothing is taken for a deletion.

use std::fs;

use crate::common::swarm::number;
use crate::scenes::{Scene, until};

fn many(scene: &Scene, folder: &str, count: usize) {
    (0..count).for_each(|at| scene.write(&format!("{folder}/{at}"), &at.to_string()));
}

#[test]
fn a_folder_that_is_emptied_empties_no_other() {
    for count in [10, 150] {
        let scene = Scene::new(&["a", "b"]);
        many(&scene, "a/f", count);
        scene.until(&["a", "b"], "all files", |tree| tree.len() == count + 1);
        fs::remove_dir_all(scene.folders.path("a/f")).unwrap();
        let held = scene.folders.until("a", "deletions are held", |status| number(status, "held") > 0);
        // A few are believed before it shows that they are only the first.
        assert!(number(&held, "held") > count as u64 - 3, "{held}");
        assert!(scene.tree("b").len() > count - 3);
        // If it was meant, a word is enough.
        scene.folders.told(&["approve", "a"]);
        scene.until(&["a", "b"], "nothing is left", |tree| tree.is_empty());
    }
}

#[test]
fn a_folder_that_is_elsewhere_for_a_while_is_no_deletion() {
    let scene = Scene::new(&["a", "b"]);
    many(&scene, "a", 20);
    scene.until(&["a", "b"], "all files", |tree| tree.len() == 20);
    let (b, away) = (scene.folders.path("b"), scene.folders.path("away"));
    fs::rename(&b, &away).unwrap();
    fs::create_dir(&b).unwrap();
    scene.write("b/stranger", "not of the ensemble");
    scene.write("a/meanwhile", "x");
    until("it is noticed that the folder is another one", || {
        let log = fs::read_dir(scene.folders.path("logs")).unwrap();
        log.flatten()
            .any(|file| fs::read_to_string(file.path()).is_ok_and(|text| text.contains("another folder")))
    });
    assert_eq!(scene.tree("a").len(), 21, "nothing was deleted");
    fs::remove_dir_all(&b).unwrap();
    fs::rename(&away, &b).unwrap();
    scene.until(&["a", "b"], "it is back", |tree| tree.len() == 21);
}
