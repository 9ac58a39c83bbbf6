import Glibc

/// Measures hand-over, from the end of a holder's command, which includes that the holder notices it, to the start of the waiter's.
func measureHandover() {
    var figures: [Figure] = []
    for (system, words, aim) in [
        ("Quorum Quest", ["quorum-quest"], 60_000_000 as UInt64), ("RaftLock, 2 ms a write", ["raftlock", "2"], 150_000_000),
    ] {
        let (server, url) = serve(words)
        defer { server.end() }
        let locker = Locker {
            [qq, "-s", url, "acquire", $0, "--wait", "--"] + $1
        } awaits: { _ in
            // The waiter asks at its own pace: the end of the command has to fall anywhere in a pause.
            usleep(UInt32.random(in: 500_000..<1_500_000))
            return { now() }
        }
        let times = handovers([locker], stamp, in: folder, rounds: max(20, rounds / 8))[0]
        figures.append(Figure(system, times.fromEnd, aim: aim))
    }
    print("\nHand-over to a waiter that has waited for a second, from the end of the first command to the start of the next:\n")
    show(figures)
}
