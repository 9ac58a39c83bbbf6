import QQCore

/// What a RaftLock server takes. Checked before anything is sent, in its own words.
enum LockRules {
    /// How long a lease may be asked for.
    static let ttls: ClosedRange<Duration> = .seconds(1) ... .seconds(300)
    static let priorities: ClosedRange<Int32> = -1000...1000
    private static let longestID = 256

    /// Why `text` cannot be an id of a lock or a client; nil if it can.
    static func problem(with text: String, called field: String) -> String? {
        if text.isEmpty { return "\(field) cannot be empty" }
        // It says characters, and counts bytes.
        if text.utf8.count > longestID {
            return "\(field) must be a non-empty string with length <= \(longestID) characters; this one has \(text.utf8.count) bytes"
        }
        let forbidden: [UInt8] = [0, UInt8(ascii: "\r"), UInt8(ascii: "\n"), UInt8(ascii: "\t")]
        if text.utf8.contains(where: forbidden.contains) { return "\(field) must not hold NUL, CR, LF or TAB" }
        return nil
    }

    /// Why it cannot be the length of a lease; nil if it can.
    static func problem(withTTL ttl: Duration) -> String? { ttls.contains(ttl) ? nil : "ttl must be between 1s and 5m0s" }

    static func problem(withPriority priority: Int32) -> String? {
        priorities.contains(priority) ? nil : "priority must be between \(priorities.lowerBound) and \(priorities.upperBound)"
    }
}
