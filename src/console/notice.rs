//! What people are told once, above the line that is drawn again and again.

use crate::console::About;
use crate::member::progress::Snapshot;

/// Remembers what was told.
#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Whether others could connect when it was last told of.
    is_reachable: Option<bool>,
}

impl Notices {
    /// What is to be told now, if anything changed that people can do something about.
    pub(super) fn next(&mut self, about: &About, snapshot: &Snapshot) -> Option<String> {
        let before = self.is_reachable;
        self.is_reachable = snapshot.is_reachable.or(before);
        let port = about.listen.port();
        match (before, snapshot.is_reachable) {
            (None | Some(true), Some(false)) => Some(format!(
                "others cannot connect to this computer, only it to them: open TCP port {port} in its firewall, \
                 and forward it in your router"
            )),
            (Some(false), Some(true)) => Some("others can connect to this computer now".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::SwarmId;

    #[test]
    fn what_changed_is_told_once() {
        let about = About {
            program: "member",
            version: "0.1.0",
            name: "a".to_owned(),
            manifest: "a.orch".into(),
            file: "a".into(),
            listen: "[::]:10001".parse().unwrap(),
            swarm: SwarmId::from_bytes([0; 32]),
            classic: false,
        };
        let mut notices = Notices::default();
        let mut told =
            |is_reachable| notices.next(&about, &Snapshot { is_reachable, ..Snapshot::default() }).is_some();
        assert!(!told(None) && !told(Some(true)));
        assert!(told(Some(false)) && !told(Some(false)) && !told(None) && !told(Some(false)));
        assert!(told(Some(true)) && !told(Some(true)));
    }
}
