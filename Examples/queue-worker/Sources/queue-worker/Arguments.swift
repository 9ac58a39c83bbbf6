import Foundation

/// The command line, and the environment for what it does not say.
struct Arguments {
    static let usage = """
        Usage: queue-worker FOLDER [OPTION VALUE]...
        Moves each file of FOLDER/todo to FOLDER/done, one after the other, while it leads.

          --server URL      where the election is; $QQ_SERVER; default: lease files in FOLDER/leases
          --election NAME   default: queue
          --id ID           this worker, different for each; $WORKER_ID; default: host name and process
          --ttl SECONDS     how long the lease lasts without renewal; default: that of the system
          --step MS         how long one item takes; default: 100
          --until empty     ends once the queue is empty, instead of waiting for more
        """

    var folder: String
    var server: String
    var election = "queue"
    var id: String?
    var ttl: Duration?
    var step = Duration.milliseconds(100)
    var endsWhenEmpty = false

    init(_ words: some Sequence<String>, environment: [String: String]) throws(UsageError) {
        var folder: String?
        var server = environment["QQ_SERVER"]
        id = environment["WORKER_ID"]
        var words = words.makeIterator()
        while let word = words.next() {
            guard word.hasPrefix("--") else {
                guard folder == nil else { throw UsageError(reason: "one folder is enough: \(word)") }
                folder = word
                continue
            }
            guard let value = words.next() else { throw UsageError(reason: "\(word) needs a value") }
            switch word {
            case "--server": server = value
            case "--election": election = value
            case "--id": id = value
            case "--ttl": ttl = .seconds(try Self.number(value, for: word, in: 1...86400))
            case "--step": step = .milliseconds(try Self.number(value, for: word, in: 0...3_600_000))
            case "--until" where value == "empty": endsWhenEmpty = true
            default: throw UsageError(reason: "unknown: \(word) \(value)")
            }
        }
        guard let folder else { throw UsageError(reason: "no folder is given") }
        // A URL needs a path from the root.
        self.folder = URL(fileURLWithPath: folder).path
        self.server = server ?? "file://\(self.folder)/leases"
    }

    private static func number(_ text: String, for option: String, in range: ClosedRange<Int>) throws(UsageError) -> Int {
        guard let number = Int(text), range.contains(number) else {
            throw UsageError(reason: "\(option) needs a number from \(range.lowerBound) to \(range.upperBound): \(text)")
        }
        return number
    }
}

/// A command line that cannot be understood.
struct UsageError: Error {
    var reason: String
}
