import QQCore
import QQNATS

/// The lease of an election by the log of its bucket: what all servers agree on, whatever each of them knows. For the checker.
struct LoggedLease {
    private struct Entry {
        /// The process that acquired it; for a deputy, the one in whose place it acts.
        var holder: String
        /// Of a `qq`; nil for a Go node.
        var termID: String?
        var token: UInt64
        var stored: WallTime
    }

    let election: String
    private let subject: String
    private let ttl: Duration
    private var entry: Entry?

    init(_ format: GoFormat, bucket: String, maxAge: Nanoseconds) {
        election = String(bucket.dropFirst(format.bucket(of: "").count))
        subject = "$KV.\(bucket).\(format.leaseKey)"
        ttl = .nanoseconds(format == .v1 ? maxAge / 2 : maxAge)
    }

    /// Whether the term is the one that lasts.
    func isHeld(by term: Term, at now: WallTime) -> Bool {
        guard let entry, entry.holder == term.process.name, now - entry.stored < ttl else { return false }
        // The checker has a Go node's first revision.
        return entry.termID == nil || entry.token == term.token?.value
    }

    /// Takes a message of the log.
    /// - Returns: the rule that it breaks, of those that the servers themselves do not enforce.
    mutating func take(_ message: StoredMessage, isTombstone: Bool) -> String? {
        guard message.subject == subject else { return nil }
        let before = entry
        let writer = message.writer.hasSuffix("d") ? String(message.writer.dropLast()) : message.writer
        if isTombstone {
            entry = nil
            return before.map { $0.holder != writer } ?? false ? "deletes the lease of another process" : nil
        }
        let words = message.id?.split(separator: ":") ?? []
        let isRenewal = words.count == 4
        entry = Entry(
            holder: writer, termID: words.count > 1 ? String(words[1]) : nil,
            token: isRenewal ? UInt64(words[2]) ?? 0 : message.sequence, stored: message.stored)
        guard let before else { return isRenewal ? "renews a lease that was released" : nil }
        if before.holder == writer { return nil }
        if isRenewal { return "renews the lease of another process" }
        // Less for the speed of clocks, and their difference between servers.
        let shortest = ttl - ttl / 200 - .milliseconds(5)
        return entry?.termID != nil && message.stored - before.stored < shortest ? "takes a lease that has not ended" : nil
    }
}
