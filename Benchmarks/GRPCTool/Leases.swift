import Glibc
import Support

/// A server's state of a held election.
struct Lease {
    var remaining: Duration
    /// Changes from term to term, if the system has a version.
    var version: Int64 = 0
}

/// Prints the URL, and answers questions on stdin until stdin ends:
///
/// - `held COUNT`: how many of `many-1` to `many-COUNT` are held.
/// - `watch COUNT TTL INTERVAL TIME`, in milliseconds: reads the leases for this time. Answers with the number of renewals, of renewals
///   that came more than a tenth later than the interval after the previous one, and of leases that were lost.
func serve(_ url: String, _ lease: (String) -> Lease?) {
    say(url)
    while let line = readLine() {
        let words = line.split(separator: " ")
        let numbers = words.dropFirst().compactMap { Int($0) }
        switch (words.first, numbers.count) {
        case ("held", 1): say("\(names(numbers[0]).count { lease($0) != nil })")
        case ("watch", 4):
            var watch = LeaseWatch(ttl: .milliseconds(numbers[1]), interval: .milliseconds(numbers[2]))
            let end = ContinuousClock.now + .milliseconds(numbers[3])
            while ContinuousClock.now < end {
                for name in names(numbers[0]) { watch.look(name, lease(name)) }
                usleep(200_000)
            }
            for name in names(numbers[0]) { watch.lookLast(name) }
            say("\(watch.renewals) \(watch.late) \(watch.lost.count)")
        default: say("?")
        }
    }
}

func names(_ count: Int) -> [String] { (1...count).map { "many-\($0)" } }

func say(_ line: String) {
    print(line)
    fflush(nil)
}

/// Infers from the ends of leases when they were renewed. It must read them more often than they are renewed.
struct LeaseWatch {
    let ttl: Duration
    let interval: Duration
    private(set) var renewals = 0
    private(set) var late = 0
    private(set) var lost: Set<String> = []
    private var seen: [String: (renewed: ContinuousClock.Instant, version: Int64)] = [:]

    init(ttl: Duration, interval: Duration) {
        self.ttl = ttl
        self.interval = interval
    }

    mutating func look(_ name: String, _ lease: Lease?) {
        guard let lease else {
            lost.insert(name)
            seen[name] = nil
            return
        }
        let renewed = ContinuousClock.now + lease.remaining - ttl
        guard let before = seen.updateValue((renewed, lease.version), forKey: name) else { return }
        if lease.version != before.version { lost.insert(name) }
        // Smaller differences come from the different moments of the two reads.
        guard renewed - before.renewed > .milliseconds(100) else {
            seen[name] = before
            return
        }
        renewals += 1
        if isLate(renewed, after: before.renewed) { late += 1 }
    }

    /// Counts leases that should have been renewed by now as late, too.
    mutating func lookLast(_ name: String) {
        if let last = seen[name], isLate(.now, after: last.renewed) { late += 1 }
    }

    private func isLate(_ instant: ContinuousClock.Instant, after before: ContinuousClock.Instant) -> Bool {
        instant - before > interval + interval / 10
    }
}
