/// The keep-alives that were sent on one stream and not answered yet. Pure.
///
/// An answer names only the lease. A server answers a stream in the order of its requests, so it belongs to the oldest request for that lease. It must not
/// be taken for one to a later request: the lease's end would be counted from too late a moment.
struct KeepAliveTable: Sendable {
    typealias RequestID = UInt64

    private var unanswered: [Int64: [RequestID]] = [:]
    private var lastID: RequestID = 0
    /// The number of unanswered requests.
    private(set) var count = 0

    /// Notes a request for a lease.
    mutating func sent(_ lease: Int64) -> RequestID {
        lastID += 1
        count += 1
        unanswered[lease, default: []].append(lastID)
        return lastID
    }

    /// - Returns: the request that was answered; nil for an answer to none.
    mutating func answered(_ lease: Int64) -> RequestID? {
        guard var requests = unanswered[lease], !requests.isEmpty else { return nil }
        count -= 1
        let first = requests.removeFirst()
        unanswered[lease] = requests.isEmpty ? nil : requests
        return first
    }

    /// Forgets all requests, because their stream has ended.
    mutating func reset() {
        unanswered = [:]
        count = 0
    }
}
