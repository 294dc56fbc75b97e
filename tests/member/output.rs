//! What a member prints, and its exit codes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::common::program::{Program, binary, wait};
use crate::common::swarm::{MIB, Swarm, parsed};

#[test]
fn json_and_nothing_else() {
    let swarm = Swarm::new(2 * MIB);
    let source = swarm.source();
    let address = source.address.to_string();
    let arguments = ["--json", "--leave", "--down", "1M", "--member", &address];
    let ended = Program::start(&mut swarm.command("b", &arguments)).ended();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    let objects: Vec<Value> = ended.lines.iter().map(|line| parsed(line)).collect();
    let events: Vec<&str> = objects.iter().map(|object| object["event"].as_str().unwrap()).collect();
    assert_eq!(events.first(), Some(&"start"));
    assert_eq!(events.last(), Some(&"left"));
    for once in ["start", "complete", "left"] {
        assert_eq!(events.iter().filter(|event| **event == once).count(), 1, "{once} in {events:?}");
    }
    // Whoever leaves slowly may say once more how it is, after it was complete.
    let between = &events[1..events.len() - 1];
    assert!(between.iter().all(|event| ["progress", "complete"].contains(event)), "{events:?}");
    assert!(between.iter().take_while(|event| **event != "complete").any(|event| *event == "progress"));
    let counters = ["parts", "bytes", "down_bytes", "up_bytes", "wasted_bytes"];
    for object in &objects {
        for field in counters.iter().chain(&["parts_total", "bytes_total", "members"]) {
            assert!(object[field].is_u64(), "no {field} in {object}");
        }
        assert!(object["elapsed_s"].is_f64(), "{object}");
    }
    for pair in objects.windows(2) {
        let grew = |field: &&str| pair[0][field].as_u64() <= pair[1][field].as_u64();
        assert!(counters.iter().all(grew), "{} then {}", pair[0], pair[1]);
    }
    let last = objects.last().unwrap();
    assert_eq!((&last["bytes"], &last["bytes_total"]), (&Value::from(2 * MIB), &Value::from(2 * MIB)));
    source.leaves();
}

#[test]
fn quiet_prints_nothing() {
    let swarm = Swarm::new(MIB);
    let source = swarm.source();
    let address = source.address.to_string();
    let arguments = ["--quiet", "--leave", "--member", &address];
    let ended = Program::start(&mut swarm.command("b", &arguments)).ended();
    assert_eq!((ended.code, ended.lines.len(), ended.errors.as_str()), (Some(0), 0, ""));
    swarm.assert_has("b");
    source.leaves();
}

#[test]
fn plain_lines_without_a_terminal() {
    let swarm = Swarm::new(MIB);
    let source = swarm.source();
    let address = source.address.to_string();
    let ended = Program::start(&mut swarm.command("b", &["--leave", "--member", &address])).ended();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    let text = ended.lines.join("\n");
    assert!(!text.contains(['\r', '\u{1b}']), "{text:?}");
    assert!(text.starts_with("song.bin: 1.0 MiB in 64 parts, listening on 127.0.0.1:"), "{text}");
    assert!(text.contains("\ncomplete: 1.0 MiB after ") && text.contains(", 1.0 MiB received\n"), "{text}");
    assert!(ended.lines.last().unwrap().starts_with("left after "), "{text}");
    source.leaves();
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let swarm = Swarm::new(12 * MIB);
    let source = swarm.source();
    let address = source.address.to_string();
    let mut command = swarm.command("b", &["--json", "--down", "2M", "--member", &address]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    drop(output);
    assert_eq!(wait(&mut child).code(), Some(0));
    assert!(!swarm.whole("b").exists(), "it left in the middle");
    source.leaves();
}

#[test]
fn an_unreachable_conductor_is_told() {
    let swarm = Swarm::new(1000);
    // Bound, but nobody listens: nobody else can.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
    let nobody = socket.local_addr().unwrap().as_socket().unwrap().to_string();
    let far = nobody.as_str();
    for (mut member, reason) in [
        (swarm.member("b", &["--conductor", far]), "the conductor cannot be reached"),
        (swarm.member("c", &["--conductor", far, "--member", far]), "the one known member cannot be reached"),
        (swarm.member("d", &[]), "nobody else shares this yet"),
    ] {
        let waiting = format!("waiting: {reason}");
        member.until(reason, |event| event["waiting"] == waiting.as_str());
        member.signal(Signal::TERM);
        member.ends_with(3);
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let swarm = Swarm::new(1000);
    for wrong in [&["--nonsense"][..], &["--up", "0"], &["--json", "--quiet"], &["second.orch"]] {
        let ended = Program::start(&mut swarm.command("b", wrong)).ended();
        assert_eq!((ended.code, ended.lines.len()), (Some(2), 0), "{wrong:?}");
        assert!(ended.errors.starts_with("error: "), "{}", ended.errors);
    }
}

#[test]
fn what_cannot_begin_says_why() {
    let swarm = Swarm::new(1000);
    let source = swarm.source();
    let taken = source.address.to_string();
    let mut command = Command::new(binary("member"));
    command.current_dir(swarm.path("")).args(["song.orch", "--listen", &taken]);
    let ended = Program::start(&mut command).ended();
    assert_eq!((ended.code, ended.lines.len()), (Some(1), 0));
    assert!(ended.errors.starts_with(&format!("member: cannot listen on {taken}: ")), "{}", ended.errors);

    std::fs::remove_file(swarm.path("song.orch")).unwrap();
    let ended = Program::start(&mut swarm.command("b", &[])).ended();
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.errors, "member: cannot open song.orch: no such file or directory\n");
    source.leaves();
}
