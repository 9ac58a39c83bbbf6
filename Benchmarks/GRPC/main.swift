import Glibc

// Usage: harness-grpc QQ BENCH-GRPC STAMP TOOLS [ROUNDS]
// Starts the servers of the tests and etcd, and measures qq over gRPC: a cold acquire compared with etcdctl, cycles on one connection compared with
// grpc-swift alone, hand-over, and many leases kept by one process.

let words = CommandLine.arguments
guard words.count >= 5 else { stop("run me with make bench-grpc") }
let (qq, tool, stamp, tools) = (words[1], words[2], words[3], words[4])
let rounds = words.count > 5 ? Int(words[5]) ?? 200 : 200

let folder = workFolder()
atexit { Child(["/bin/rm", "-rf", folder]).wait() }
// Grants are saved there.
setenv("XDG_RUNTIME_DIR", folder, 1)

compareCold()
compareCycles("Quorum Quest", ["quorum-quest"])
compareCycles("RaftLock, writes without delay", ["raftlock", "0"])
measureHandover()
measureMany("Quorum Quest", ["quorum-quest"])
measureMany("RaftLock, 2 ms a write", ["raftlock", "2"])

/// Starts the test server in a process of its own.
func serve(_ words: [String]) -> (server: Tool, url: String) {
    let server = Tool([tool, "serve"] + words)
    guard let url = server.line(), url.contains("://") else { stop("bench-grpc serve \(words.joined(separator: " ")): no server") }
    return (server, url)
}

// MARK: One call of a new process

/// Measures one call, including the connection and the saving of the grant. qq and etcdctl take turns.
func compareCold() {
    let etcd = Etcd(in: folder, tools)
    defer { etcd.end() }
    var rows: [Row] = []
    for (scheme, words) in [("qq", ["quorum-quest"]), ("raftlock", ["raftlock", "0"])] {
        let (server, url) = serve(words)
        defer { server.end() }
        let to = [qq, "-s", url]
        let commands = [
            to + ["acquire", "cold"], to + ["release", "cold"], to + ["acquire", "guarded", "--", "/bin/true"], etcd.get,
        ]
        let (medians, peaks) = takeTurns(commands, rounds)
        let aim = scheme == "qq" ? 0.9 : nil
        for (what, place) in [("acquire x", 0), ("release x", 1), ("acquire x -- true", 2)] {
            rows.append(Row("-s \(scheme)://… \(what)", medians[place], "etcdctl get x (3.4)", medians[3], aim: place == 0 ? aim : nil))
        }
        print("-s \(scheme)://… acquire x: \(peaks[0]) kB peak memory, aim under 25 MB: \(peaks[0] < 25_000 ? "met" : "NOT MET")")
    }
    print()
    show(rows)
}

// MARK: One session

/// Measures acquire and release over one connection, in rounds of many cycles that take turns.
func compareCycles(_ system: String, _ words: [String]) {
    let (server, url) = serve(words)
    defer { server.end() }
    let measuring = Tool([tool, "cycles", url])
    var times: [Substring: [UInt64]] = [:]
    while let line = measuring.line() {
        let fields = line.split(separator: " ")
        guard fields.count % 2 == 0 else { stop(line) }
        for place in stride(from: 0, to: fields.count, by: 2) {
            guard let time = UInt64(fields[place + 1]) else { stop(line) }
            times[fields[place], default: []].append(time)
        }
    }
    measuring.end()
    guard let ours = times["qq"].map(median), let same = times["same"].map(median), let two = times["two"].map(median) else {
        stop("no cycles were measured")
    }
    func rate(_ time: UInt64) -> Int { Int((1e9 / Double(max(time, 1))).rounded()) }
    print("\n\(system), cycles of acquire and release over one connection: \(rate(ours)) a second, \(milliseconds(ours)) each")
    for (time, what, aim) in [(same, "the same calls", nil), (two, "acquire and release alone", 1.25 as Double?)] {
        let ratio = Double(ours) / Double(max(time, 1))
        let verdict = aim.map { ", aim at most \(decimal($0, 2)): \(ratio <= $0 ? "met" : "NOT MET")" } ?? ""
        print("grpc-swift alone, \(what): \(rate(time)) a second; a cycle of qq takes \(decimal(ratio, 2)) of the time\(verdict)")
    }
}

// MARK: Many leases

/// Measures a thousand leases kept by one process.
func measureMany(_ system: String, _ words: [String]) {
    let count = getenv("BENCH_GRPC_LEASES").flatMap { Int(String(cString: $0)) } ?? 1000
    let seconds = getenv("BENCH_GRPC_SECONDS").flatMap { Int(String(cString: $0)) } ?? 30
    let (server, url) = serve(words)
    defer { server.end() }
    let holder = Child([qq, "-s", url, "keepalive"] + (1...count).map { "many-\($0)" })
    defer {
        kill(holder.pid, SIGTERM)
        holder.wait()
    }
    let began = now()
    var held = 0
    while held < count, now() < began + 60_000_000_000 {
        usleep(50_000)
        held = server.ask("held \(count)")[0]
    }
    print("\n\(system), \(count) leases kept by one qq keepalive, with a TTL of 15 s renewed every 5 s:")
    print("\(held) held after \(decimal(Double(now() - began) / 1e9, 1)) s")
    // Wait until the first renewals are in step.
    usleep(1_000_000)
    let ticks = processorTicks(holder.pid)
    let watched = server.ask("watch \(count) 15000 5000 \(seconds * 1000)")
    guard watched.count == 3 else { stop("bench-grpc: no numbers") }
    let used = Double(processorTicks(holder.pid) - ticks) / Double(sysconf(Int32(_SC_CLK_TCK)))
    let peak = peakMemory(of: holder.pid)
    print("\(decimal(used * 60 / Double(seconds), 2)) CPU seconds a minute, \(peak) kB peak memory")
    print("\(watched[1]) of \(watched[0]) renewals late by more than 10 %, \(watched[2]) leases lost, in \(seconds) s")
}
