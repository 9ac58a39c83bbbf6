import Glibc

/// Measures many leases held by one process.
func measureMany() {
    let count = getenv("BENCH_ETCD_LEASES").flatMap { Int(String(cString: $0)) } ?? 1000
    let timing = ["--ttl", "15s", "--renew-every", "5s"]
    let gateway = Gateway(etcd.port)
    let holder = dependent(to + ["keepalive", "--id", "bench"] + timing + (1...count).map { "many-\($0)" })
    defer {
        kill(holder.pid, SIGTERM)
        holder.wait()
    }
    let began = now()
    while gateway.leases(of: "many-").count < count {
        guard now() < began + 60_000_000_000 else {
            stop("\(gateway.leases(of: "many-").count) of \(count) leases are held after a minute")
        }
        usleep(50_000)
    }
    let taking = now() - began
    // Wait until the first renewals are in step.
    usleep(1_000_000)
    let (ticks, serverTicks, calls) = (processorTicks(holder.pid), processorTicks(etcd.pid), gateway.calls())
    let leases = gateway.leases(of: "many-")
    var seen = LeaseTimes(ttl: 15, interval: 5)
    let end = now() + UInt64(seconds) * 1_000_000_000
    while now() < end {
        for lease in leases { seen.look(lease, gateway.remaining(lease)) }
        usleep(1_000_000)
    }
    let (used, usedByServer, made) = (
        processorTicks(holder.pid) - ticks, processorTicks(etcd.pid) - serverTicks, gateway.calls().since(calls)
    )
    print("\n\(count) leases held by one qq keepalive for \(seconds) s, with a TTL of 15 s renewed every 5 s:\n")
    show([
        Figure("All held after", milliseconds(taking)),
        Figure("CPU seconds a minute", perMinute(used, of: seconds)),
        Figure("CPU seconds a minute of the server, with what is asked here", perMinute(usedByServer, of: seconds)),
        Figure("Peak memory", "\(peakMemory(of: holder.pid)) kB"),
        Figure(
            "Requests a second",
            "\(perSecond(made.keepAlives, of: seconds)) keep-alives, \(perSecond(made.reads, of: seconds)) reads, "
                + "\(perSecond(made.transactions, of: seconds)) transactions"),
        Figure("Renewals late by more than 1 s", "\(seen.late.count) leases", aim: ("none", seen.late.isEmpty)),
        Figure("The least that was left of a TTL of 15 s", "\(seen.least) s"),
        Figure("Leases lost", "\(seen.lost.count)", aim: ("none", seen.lost.isEmpty)),
    ])
}

/// What the TTLs of leases show of their renewals. The server answers with whole seconds, rounded down.
private struct LeaseTimes {
    let ttl: Int
    let interval: Int
    private(set) var least: Int
    private(set) var late: Set<String> = []
    private(set) var lost: Set<String> = []

    init(ttl: Int, interval: Int) { (self.ttl, self.interval, least) = (ttl, interval, ttl) }

    /// - Parameter left: -1 for a lease that has ended.
    mutating func look(_ lease: String, _ left: Int) {
        if left < 0 {
            lost.insert(lease)
        } else {
            least = min(least, left)
            // Before a renewal in time, just less than the rest of the TTL is left.
            if left < ttl - interval - 1 { late.insert(lease) }
        }
    }
}
