/// Detects servers that still read but no longer write, as a RaftLock leader does once two writes arrived at the same moment. Pure.
struct WriteHealth: Sendable, Hashable {
    private struct Record: Sendable, Hashable {
        /// Consecutive writes that failed without a reason or were never answered.
        var failures = 0
        /// Whether one of them was answered.
        var isHeard = false
        /// Whether a read was answered since the first of them.
        var reads = false
    }

    private var records: [String: Record] = [:]

    /// A write was answered, whatever the answer.
    mutating func wrote(at endpoint: String) { records[endpoint] = nil }

    /// - Parameter wasHeard: whether the server answered that it failed; otherwise it did not answer.
    mutating func failed(at endpoint: String, wasHeard: Bool = true) {
        records[endpoint, default: Record()].failures += 1
        if wasHeard { records[endpoint]?.isHeard = true }
    }

    mutating func didRead(at endpoint: String) {
        records[endpoint]?.reads = true
    }

    /// The behaviour of a server that reads but does not write.
    enum Sign: Sendable, Hashable {
        case refuses
        /// The server might also be waiting for other nodes.
        case silent
    }

    func sign(at endpoint: String) -> Sign? { isWedged(at: endpoint) ? records[endpoint]?.isHeard == true ? .refuses : .silent : nil }

    /// Whether the server answers reads and refuses every write. One failure can have many reasons; two in a row are the sign.
    func isWedged(at endpoint: String) -> Bool { records[endpoint].map { $0.failures >= 2 && $0.reads } ?? false }
}
