import Glibc

// Usage: harness-etcd QQ STAMP TOOLS [ROUNDS [SECONDS]]
// Starts an etcd of its own, and measures qq on it: cold calls and hand-over compared with etcdctl, failover, and many leases held by one process.

let words = CommandLine.arguments
guard words.count >= 4 else { stop("run me with make bench-etcd") }
let (qq, stamp, tools) = (words[1], words[2], words[3])
let rounds = words.count > 4 ? Int(words[4]) ?? 200 : 200
let seconds = words.count > 5 ? Int(words[5]) ?? 60 : 60

let folder = workFolder()
atexit { Child(["/bin/rm", "-rf", folder]).wait() }
// Grants are saved there.
for name in ["XDG_RUNTIME_DIR", "XDG_STATE_HOME"] { setenv(name, folder, 1) }

let etcd = Etcd(in: folder, tools)
let to = [qq, "-s", "etcd://" + etcd.endpoint]
compareCold()
compareHandover()
measureFailover()
measureMany()
etcd.end()

/// Measures one call of a new process, connection included. The programs take turns.
func compareCold() {
    _ = time(to + ["acquire", "held", "--ttl", "1h"])
    let commands = [
        to + ["acquire", "cold", "--", "/bin/true"], etcd.client + ["lock", "cold-lock", "/bin/true"], to + ["status", "held"], etcd.get,
    ]
    let (medians, peaks) = takeTurns(commands, rounds)
    show([
        Row("-s etcd://… acquire x -- true", medians[0], "etcdctl lock x true (3.4)", medians[1], aim: 0.6),
        Row("-s etcd://… status x", medians[2], "etcdctl get x (3.4)", medians[3], aim: 0.6),
    ])
    print()
    show([
        Figure("Peak memory of qq acquire", "\(peaks[0]) kB"), Figure("Peak memory of etcdctl lock", "\(peaks[1]) kB"),
        Figure("Peak memory of qq status", "\(peaks[2]) kB"), Figure("Peak memory of etcdctl get", "\(peaks[3]) kB"),
    ])
}

func locker(_ words: @escaping (String) -> [String]) -> Locker {
    Locker {
        words($0) + ["--"] + $1
    } awaits: { lock in
        let gateway = Gateway(etcd.port)
        waitUntil("a second contender of \(lock)") { gateway.leases(of: lock + "/").count == 2 }
        return gateway.deletion(below: lock + "/")
    }
}

/// Measures hand-over: from the end of a holder's command, which includes that the holder notices it, and from the deletion of its key.
func compareHandover() {
    let lockers = [locker { to + ["acquire", $0, "--wait"] }, locker { etcd.client + ["lock", $0] }]
    let times = handovers(lockers, stamp, in: folder, rounds: max(20, rounds / 4))
    print("\nHand-over between two waiters, until the second one's command starts:\n")
    show([
        Row("from the first one's command", median(times[0].fromEnd), "etcdctl lock (3.4)", median(times[1].fromEnd)),
        Row("from the deletion of its key", median(times[0].fromRelease), "etcdctl lock (3.4)", median(times[1].fromRelease)),
    ])
    print()
    show([
        Figure("From the end of the first one's command", times[0].fromEnd, aim: 3_000_000),
        Figure("From the deletion of its key", times[0].fromRelease),
        Figure("etcdctl lock, from the end of the first one's command", times[1].fromEnd),
        Figure("etcdctl lock, from the deletion of its key", times[1].fromRelease),
    ])
}

/// Measures the time from SIGKILL of a qq to the start of the waiter's command. Its guardian ends the command and gives the lease up.
func measureFailover() {
    let times = failovers(locker { to + ["acquire", $0, "--wait"] }, stamp, in: folder, rounds: max(10, rounds / 10))
    print("\nCrash failover, qq killed and its guardian alive, until the waiter's command starts:\n")
    show([Figure("From SIGKILL", times.fromEnd, aim: 50_000_000), Figure("From the deletion of the key", times.fromRelease)])
}
