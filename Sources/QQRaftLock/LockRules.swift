import QQCore

/// The limits of a RaftLock server. Checked before anything is sent, with the server's own messages.
enum LockRules {
    /// The TTLs that can be requested.
    static let ttls: ClosedRange<Duration> = .seconds(1) ... .seconds(300)
    static let priorities: ClosedRange<Int32> = -1000...1000
    private static let longestID = 256

    /// Why `text` cannot be an id of a lock or a client; nil if it can.
    static func problem(with text: String, called field: String) -> String? {
        if text.isEmpty { return "\(field) cannot be empty" }
        // The server says characters, but counts bytes.
        if text.utf8.count > longestID {
            return "\(field) must be a non-empty string with length <= \(longestID) characters; this one has \(text.utf8.count) bytes"
        }
        let forbidden: [UInt8] = [0, UInt8(ascii: "\r"), UInt8(ascii: "\n"), UInt8(ascii: "\t")]
        if text.utf8.contains(where: forbidden.contains) { return "\(field) must not hold NUL, CR, LF or TAB" }
        return nil
    }

    /// Why `ttl` cannot be the length of a lease; nil if it can.
    static func problem(withTTL ttl: Duration) -> String? { ttls.contains(ttl) ? nil : "ttl must be between 1s and 5m0s" }

    static func problem(withPriority priority: Int32) -> String? {
        priorities.contains(priority) ? nil : "priority must be between \(priorities.lowerBound) and \(priorities.upperBound)"
    }
}
