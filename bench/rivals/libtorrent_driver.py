"""Drives libtorrent (2.0 or 2.1) for `bench/run.py`, with the settings that make its numbers the best.

`share` says `ready` when every piece was checked, and gives until it is asked to leave. `get`, `check` and
`compose` load the library, say `ready`, and begin when a line comes on standard input, so that neither the
start of Python nor the import counts against libtorrent. They say `complete` and what the harness wants to know as
JSON; `left` is the last line. `get` says it when others can read the whole file.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
import warnings

import libtorrent as lt

warnings.simplefilter("ignore", DeprecationWarning)

# Nothing but TCP to the peers that the tracker or the command line names.
TCP_ONLY = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "alert_mask": lt.alert.category_t.status_notification
    | lt.alert.category_t.error_notification
    | lt.alert.category_t.storage_notification,
    # All peers of a run live on one machine.
    "allow_multiple_connections_per_ip": True,
}

# Without them, torrents of a million pieces are refused.
LIMITS = {"max_buffer_size": 64 << 20, "max_pieces": 1 << 21}

# On top of libtorrent's own preset for fast networks, `high_performance_seed`.
TUNED = {
    "out_enc_policy": 2,
    "in_enc_policy": 2,
    "hashing_threads": 2,
    "aio_threads": 8,
    "max_out_request_queue": 3000,
    "max_allowed_in_request_queue": 4000,
    "request_queue_time": 10,
    "whole_pieces_threshold": 60,
    "max_queued_disk_bytes": 128 << 20,
    "send_buffer_watermark": 8 << 20,
    "send_buffer_low_watermark": 1 << 20,
    "send_buffer_watermark_factor": 200,
    "recv_socket_buffer_size": 4 << 20,
    "send_socket_buffer_size": 4 << 20,
    "unchoke_slots_limit": -1,
    "suggest_mode": 0,
    "torrent_connect_boost": 255,
    "tick_interval": 100,
}


def session(arguments):
    settings = dict(TCP_ONLY)
    if arguments.profile == "tuned":
        preset = lt.high_performance_seed()
        known = lt.default_settings()
        settings.update({key: value for key, value in preset.items() if known.get(key) != value})
        settings.update(TUNED)
        settings.update(TCP_ONLY)
    settings["listen_interfaces"] = arguments.listen
    settings["outgoing_interfaces"] = arguments.listen.rsplit(":", 1)[0]
    return lt.session(settings)


def add(started, arguments):
    wanted = lt.add_torrent_params()
    wanted.ti = lt.torrent_info(arguments.torrent, LIMITS)
    wanted.save_path = arguments.dir
    wanted.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    handle = started.add_torrent(wanted)
    for peer in arguments.peer:
        host, port = peer.rsplit(":", 1)
        handle.connect_peer((host, int(port)))
    return handle


def say(event, **facts):
    print(event, json.dumps(facts), flush=True)


def await_go():
    say("ready", version=lt.__version__)
    sys.stdin.readline()


def alerts(started, milliseconds):
    """The alerts that came, after waiting for one; those that end everything do so."""
    started.wait_for_alert(milliseconds)
    for alert in started.pop_alerts():
        if isinstance(alert, (lt.torrent_error_alert, lt.file_error_alert, lt.listen_failed_alert)):
            sys.exit(f"libtorrent: {alert.message()}")
        yield alert


def await_seeding(started, handle, watch_first_byte):
    """Waits until libtorrent says that all is there; returns when the first byte came, in seconds."""
    begin = time.monotonic()
    first_byte = None
    while True:
        # Looking often costs the client time, so only until the first byte is there.
        looking = watch_first_byte and first_byte is None
        for alert in alerts(started, 2 if looking else 200):
            if isinstance(alert, (lt.torrent_finished_alert, lt.torrent_checked_alert)) and handle.status().is_seeding:
                return first_byte
        if looking and handle.status().total_payload_download:
            first_byte = time.monotonic() - begin


def await_written(started, handle):
    """Waits until everything is written to the file; returns how long that took, in seconds.

    libtorrent 2.1 hashes pieces in its own cache and says that it is finished while it still writes them: others who
    read the file then find holes in it.
    """
    begin = time.monotonic()
    handle.flush_cache()
    while not any(isinstance(alert, lt.cache_flushed_alert) for alert in alerts(started, 200)):
        pass
    return time.monotonic() - begin


def compose(arguments):
    await_go()
    files = lt.file_storage()
    lt.add_files(files, arguments.dir)
    made = lt.create_torrent(files, arguments.part_size, flags=lt.create_torrent.v1_only)
    lt.set_piece_hashes(made, os.path.dirname(arguments.dir))
    with open(arguments.torrent, "wb") as out:
        out.write(lt.bencode(made.generate()))
    say("complete")


def transfer(arguments):
    leaving = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: leaving.set())
    if arguments.what != "share":
        await_go()
    started = session(arguments)
    handle = add(started, arguments)
    first_byte = await_seeding(started, handle, arguments.what == "get")
    if arguments.what == "share":
        say("ready", version=lt.__version__)
    elif arguments.what == "get":
        say("complete", first_byte_s=first_byte, flush_s=await_written(started, handle))
    else:
        say("complete")
    while not leaving.wait(0.2):
        pass
    say("left", up_bytes=handle.status().total_payload_upload)
    # Nothing more is of interest; the goodbyes of the session take seconds.
    os._exit(0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["share", "get", "check", "compose"])
    parser.add_argument("--torrent", required=True, help="read, or written by compose")
    parser.add_argument("--dir", required=True, help="where the file is, or will be; the file itself for compose")
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--profile", choices=["default", "tuned"], default="default")
    parser.add_argument("--part-size", type=int, default=1 << 20)
    arguments = parser.parse_args()
    if arguments.what == "compose":
        compose(arguments)
    else:
        transfer(arguments)


if __name__ == "__main__":
    main()
