/// What our writes of a lease carry as `Nats-Msg-Id`: which unbroken holding they belong to, and which write of it each one is.
///
/// `qq:<nonce>` takes the lease; `qq:<nonce>:<token>:<n>` is the nth renewal of the term with that fencing token. The Go nodes pass it
/// over. Two processes that share a node id, as two on one host do by default, are told apart by it; and the server recognises a write that
/// comes again.
struct TermMark: Sendable, Hashable, CustomStringConvertible {
    struct Renewal: Sendable, Hashable {
        /// The revision of the write that took the lease.
        var token: UInt64
        /// From 1.
        var count: UInt64
    }

    /// 22 letters and digits (131 bits), new for each attempt to take the lease.
    var nonce: String
    /// Nil for the write that takes the lease.
    var renewal: Renewal?

    static let nonceLength = 22
    private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    init(nonce: String, renewal: Renewal? = nil) {
        self.nonce = nonce
        self.renewal = renewal
    }

    /// Nil where it is no mark of ours.
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 4, parts[0] == "qq" else { return nil }
        guard parts[1].utf8.count == Self.nonceLength, parts[1].utf8.allSatisfy(Self.digits.contains) else { return nil }
        nonce = String(parts[1])
        if parts.count == 4 {
            guard let token = Self.number(parts[2]), let count = Self.number(parts[3]) else { return nil }
            renewal = Renewal(token: token, count: count)
        }
    }

    var description: String {
        guard let renewal else { return "qq:\(nonce)" }
        return "qq:\(nonce):\(renewal.token):\(renewal.count)"
    }

    static func newNonce(using generator: inout some RandomNumberGenerator) -> String {
        String(decoding: (0..<nonceLength).map { _ in digits[Int.random(in: 0..<digits.count, using: &generator)] }, as: UTF8.self)
    }

    static func newNonce() -> String {
        var generator = SystemRandomNumberGenerator()
        return newNonce(using: &generator)
    }

    /// Positive, and written as we write it.
    private static func number(_ text: Substring) -> UInt64? {
        guard let number = UInt64(text), number > 0, String(number) == text else { return nil }
        return number
    }
}
