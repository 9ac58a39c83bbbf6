import Glibc
import Support

/// What a server has of a held election.
struct Lease {
    var remaining: Duration
    /// Changes from term to term, where the system has one.
    var version: Int64 = 0
}

/// Prints the URL, and answers questions on stdin until that ends:
///
/// - `held COUNT`: how many of `many-1` to `many-COUNT` are held.
/// - `watch COUNT TTL INTERVAL TIME`, in milliseconds: looks at them for so long; how many renewals there were, how many of them came more than a tenth
///   later than the interval after the one before, and how many of the leases were lost.
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

/// Tells from when leases end when they were renewed; it must look more often than that.
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
        // What is below comes from asking at two different moments.
        guard renewed - before.renewed > .milliseconds(100) else {
            seen[name] = before
            return
        }
        renewals += 1
        if isLate(renewed, after: before.renewed) { late += 1 }
    }

    /// Those that should have been renewed meanwhile are late, too.
    mutating func lookLast(_ name: String) {
        if let last = seen[name], isLate(.now, after: last.renewed) { late += 1 }
    }

    private func isLate(_ instant: ContinuousClock.Instant, after before: ContinuousClock.Instant) -> Bool {
        instant - before > interval + interval / 10
    }
}
