import Glibc

/// Measures many leases held by one process.
func measureMany() {
    let count = getenv("BENCH_KUBERNETES_LEASES").flatMap { Int(String(cString: $0)) } ?? 1000
    let server = serve()
    defer { server.end() }
    let timing = ["--ttl", "15s", "--renew-every", "5s"]
    let holder = dependent(server.command(["keepalive", "--id", "bench"] + timing + (1...count).map { "many-\($0)" }))
    defer {
        kill(holder.pid, SIGTERM)
        holder.wait()
    }
    let began = now()
    while server.number("held") < count {
        guard now() < began + 60_000_000_000 else { stop("\(server.number("held")) of \(count) leases are held after a minute") }
        usleep(50_000)
    }
    let taking = now() - began
    // Wait until the first renewals are in step.
    usleep(1_000_000)
    let ticks = processorTicks(holder.pid)
    let serverTicks = processorTicks(server.tool.pid)
    let seen = server.tool.ask("observe 15000 5000 \(seconds * 1000)")
    guard seen.count == 5 else { stop("observe: no numbers") }
    let peak = peakMemory(of: holder.pid)
    print("\n\(count) leases held by one qq keepalive for \(seconds) s, with a TTL of 15 s renewed every 5 s:\n")
    show([
        Figure("All held after", milliseconds(taking)),
        Figure("CPU seconds a minute", perMinute(processorTicks(holder.pid) - ticks, of: seconds)),
        Figure("CPU seconds a minute of the server", perMinute(processorTicks(server.tool.pid) - serverTicks, of: seconds)),
        Figure("Peak memory", "\(peak) kB"),
        Figure("Requests a second", "\(perSecond(seen[3], of: seconds)), of them updates \(perSecond(seen[4], of: seconds))"),
        Figure("Renewals late by more than 10 %", "\(seen[1]) of \(seen[0])", aim: ("none", seen[1] == 0)),
        Figure("Leases lost", "\(seen[2])", aim: ("none", seen[2] == 0)),
    ])
}
