import Glibc

// Usage: harness-nats QQ STAMP TOOLS [ROUNDS]
// Starts a NATS server and etcd of its own, and measures qq over NATS: reading compared with etcdctl, hand-over, failover, and many
// elections at a time.

let words = CommandLine.arguments
guard words.count >= 4 else { stop("run me with make bench-nats") }
let (qq, stamp, tools) = (words[1], words[2], words[3])
let rounds = words.count > 4 ? Int(words[4]) ?? 200 : 200

let folder = workFolder()
atexit { Child(["/bin/rm", "-rf", folder]).wait() }
let etcd = Etcd(in: folder, tools)
let nats = NATSServer(in: folder, tools)
var code: Int32 = 0
if speaksNATS() {
    compareReading()
    measureHandover()
    measureFailover()
    measureMany()
} else {
    code = 1
}
etcd.end()
nats.end()
if code != 0 { exit(code) }

/// Whether this qq has NATS. If not, only etcd is measured.
func speaksNATS() -> Bool {
    let reader = Child([qq, "-s", nats.url, "status", "nothing"])
    let code = reader.wait()
    guard code != 1 else { return true }
    print("qq -s \(nats.url) status: exit code \(code) instead of 1. etcdctl get alone: \(milliseconds(median(etcd.read(rounds)))).")
    return false
}

/// Measures a cold read of the leader, connection included. qq and etcdctl take turns.
func compareReading() {
    qqSucceeds(["acquire", "status", "--ttl", "1h", "--id", "bench"])
    var times: (ours: [UInt64], etcd: [UInt64]) = ([], [])
    for round in 0..<rounds + 5 {
        let ours = time([qq, "-s", nats.url, "status", "status"])
        let theirs = time(etcd.get)
        // The first rounds warm the caches.
        if round >= 5 {
            times.ours.append(ours)
            times.etcd.append(theirs)
        }
    }
    show([Row("-s nats://… status x", median(times.ours), "etcdctl get x (3.4)", median(times.etcd), aim: 0.6)])
}

func qqSucceeds(_ arguments: [String]) {
    let code = Child([qq, "-s", nats.url] + arguments).wait()
    guard code == 0 else { stop("qq \(arguments.joined(separator: " ")): exit code \(code)") }
}

/// Starts a waiter whose command writes down when it was started. It waits when this returns.
func waiter(_ election: String, ttl: String, _ file: String, _ client: RawNATS) -> Child {
    unlink(file)
    let waiter = Child([qq, "-s", nats.url, "acquire", election, "--id", "waiter", "--ttl", ttl, "--wait", "--", stamp, file])
    waitUntil("\(election) is watched") { client.stream(election)?.contains("\"consumer_count\":1") ?? false }
    // Time for the requests that follow the creation of the watch, until the waiter is quiet.
    usleep(50_000)
    return waiter
}

/// Measures the time from the acknowledgement of the deletion to the start of the waiter's command.
func measureHandover() {
    let client = RawNATS(nats.port)
    let file = folder + "/stamp"
    var times: [UInt64] = []
    for round in 0..<max(20, rounds / 4) {
        let election = "handover-\(round)"
        client.createBucket(election, ttlSeconds: 60)
        client.put(election, #"{"node_id":"other","epoch":1,"acquired_at":\#(unixMilliseconds())}"#)
        let waiter = waiter(election, ttl: "60s", file, client)
        client.delete(election)
        let deleted = now()
        let start = stampedStart(of: waiter, file)
        // The command might have started before this process read the acknowledgement.
        times.append(start > deleted ? start - deleted : 0)
    }
    report("Hand-over: from the deletion's acknowledgement to the start of the waiter's command", times, aim: 5_000_000)
}

/// Measures the time from the end of the lease (last renewal plus TTL) of a qq that was killed to the start of the waiter's command.
func measureFailover() {
    let client = RawNATS(nats.port)
    let file = folder + "/stamp"
    let ttl: UInt64 = 2_000_000_000
    var times: [UInt64] = []
    for round in 0..<max(5, rounds / 20) {
        let election = "crash-\(round)"
        let holder = Child([qq, "-s", nats.url, "acquire", election, "--id", "holder", "--ttl", "2s", "--", "/bin/sleep", "600"])
        waitForSleep(of: holder)
        let waiter = waiter(election, ttl: "2s", file, client)
        for pid in family(of: holder.pid) { kill(pid, SIGKILL) }
        holder.wait()
        guard let renewed = client.lastRenewal(election) else { stop("no lease in \(election)") }
        let start = stampedStart(of: waiter, file)
        guard start > renewed + ttl else { stop("the waiter's command started before the lease had ended") }
        times.append(start - renewed - ttl)
    }
    report("Crash failover: from the last renewal and the TTL of 2 s to the start of the waiter's command", times, aim: 50_000_000)
}

func report(_ what: String, _ times: [UInt64], aim: UInt64) {
    let middle = median(times)
    print("\n\(what):")
    print(
        "median \(milliseconds(middle)), worst \(milliseconds(times.max() ?? 0)), \(times.count) rounds; aim \(milliseconds(aim)): \(middle <= aim ? "met" : "NOT MET")"
    )
}

/// Measures a thousand elections held by one process for a minute.
func measureMany() {
    let count = 1000
    let seconds = getenv("BENCH_NATS_SECONDS").flatMap { Int(String(cString: $0)) } ?? 60
    let interval: UInt64 = 3_000_000_000
    let client = RawNATS(nats.port)
    let elections = (1...count).map { "many-\($0)" }
    let holder = Child([qq, "-s", nats.url, "keepalive", "--id", "bench", "--ttl", "10s", "--renew-every", "3s"] + elections)
    var left = elections
    let end = now() + 60_000_000_000
    while !left.isEmpty {
        guard now() < end else { stop("\(left.count) of \(count) elections are not led after a minute") }
        left.removeAll { client.lastRenewal($0) != nil }
        if !left.isEmpty { usleep(100_000) }
    }
    var last: [Substring: UInt64] = [:]
    var (renewals, late) = (0, 0)
    client.subscribe("$KV.*.leader")
    let began = processorTicks(holder.pid)
    let from = now()
    while now() < from + UInt64(seconds) * 1_000_000_000 {
        guard let subject = client.nextSubject(until: from + UInt64(seconds) * 1_000_000_000) else { continue }
        let time = now()
        if let previous = last.updateValue(time, forKey: subject) {
            renewals += 1
            if time - previous > interval + interval / 10 { late += 1 }
        }
    }
    // Elections whose renewals have stopped are late as well.
    late += last.values.count { now() - $0 > interval + interval / 10 } + (count - last.count)
    let used = Double(processorTicks(holder.pid) - began) / Double(sysconf(Int32(_SC_CLK_TCK)))
    let perMinute = used * 60 / Double(seconds)
    let peak = peakMemory(of: holder.pid)
    print("\n\(count) elections held by one qq keepalive for \(seconds) s, renewed every 3 s:")
    print("\(decimal(perMinute, 2)) CPU seconds a minute, aim under 3 (5 % of a core): \(perMinute < 3 ? "met" : "NOT MET")")
    print("\(peak) kB peak memory, aim under 60 MB: \(peak < 60_000 ? "met" : "NOT MET")")
    print("\(late) of \(renewals) renewals late by more than 10 %")
    kill(holder.pid, SIGTERM)
    holder.wait()
}

func unixMilliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}
