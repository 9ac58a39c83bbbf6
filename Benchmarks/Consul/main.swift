import Glibc

// Usage: harness-consul QQ STAMP TOOLS [ROUNDS]
// Starts a Consul of its own, and measures qq on it: cold calls and hand-over compared with consul, and failover. Without Consul's program there is nothing to
// measure.

let words = CommandLine.arguments
guard words.count >= 4 else { stop("run me with make bench-consul") }
let (qq, stamp, tools) = (words[1], words[2], words[3])
let rounds = words.count > 4 ? Int(words[4]) ?? 200 : 200

let given = getenv("CONSUL").map { String(cString: $0) }
guard let consul = [given, tools + "/consul/usr/bin/consul"].compactMap(\.self).first(where: { access($0, X_OK) == 0 }) else {
    print("bench-consul: nothing is measured, as there is no Consul: neither CONSUL nor .build/tools has it (Scripts/need bench)")
    exit(0)
}

let folder = workFolder()
atexit { Child(["/bin/rm", "-rf", folder]).wait() }
for name in ["XDG_RUNTIME_DIR", "XDG_STATE_HOME"] { setenv(name, folder, 1) }

let server = ConsulServer(consul)
let to = [qq, "-s", "consul://127.0.0.1:\(server.port)"]
setenv("CONSUL_HTTP_ADDR", "127.0.0.1:\(server.port)", 1)
compareCold()
compareHandover()
measureFailover()
server.end()

/// Measures one call of a new process, connection included. The programs take turns.
func compareCold() {
    let commands = [
        to + ["acquire", "cold", "--", "/bin/true"], [consul, "lock", "-shell=false", "cold-lock", "/bin/true"],
        to + ["status", "cold-lock"],
        [consul, "kv", "get", "cold-lock/.lock"],
    ]
    let (medians, peaks) = takeTurns(commands, rounds, allowing: [0, 1])
    show([
        Row("-s consul://… acquire x -- true", medians[0], "consul lock x true", medians[1], aim: 0.6),
        Row("-s consul://… status x", medians[2], "consul kv get x/.lock", medians[3], aim: 0.6),
    ])
    print()
    show([Figure("Peak memory of qq acquire", "\(peaks[0]) kB"), Figure("Peak memory of consul lock", "\(peaks[1]) kB")])
}

func locker(_ words: @escaping (String) -> [String]) -> Locker {
    Locker {
        words($0) + $1
    } awaits: { lock in
        // A waiter leaves no trace on the server.
        usleep(400_000)
        return server.change(of: lock + "/.lock")
    }
}

/// Measures hand-over: from the end of a holder's command, which includes that the holder notices it, and from the release of its key.
func compareHandover() {
    let lockers = [locker { to + ["acquire", $0, "--wait", "--"] }, locker { [consul, "lock", "-shell=false", $0] }]
    let times = handovers(lockers, stamp, in: folder, rounds: max(10, rounds / 10))
    print("\nHand-over between two waiters, until the second one's command starts:\n")
    show([
        Row("from the first one's command", median(times[0].fromEnd), "consul lock", median(times[1].fromEnd)),
        Row("from the release of its key", median(times[0].fromRelease), "consul lock", median(times[1].fromRelease)),
    ])
}

/// Measures the time from SIGKILL of a qq to the start of the waiter's command. Its guardian ends the command and gives the lease up.
func measureFailover() {
    let times = failovers(locker { to + ["acquire", $0, "--wait", "--"] }, stamp, in: folder, rounds: max(5, rounds / 20))
    print("\nCrash failover, qq killed and its guardian alive, until the waiter's command starts:\n")
    show([Figure("From SIGKILL", times.fromEnd, aim: 50_000_000), Figure("From the release of the key", times.fromRelease)])
}
