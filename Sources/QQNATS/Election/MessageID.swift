/// The `Nats-Msg-Id` of lease writes by `qq`: the term that a write belongs to, and its number within the term.
///
/// `qq:<termID>` acquires the lease; `qq:<termID>:<token>:<n>` is the nth renewal of the term with that fencing token. Go nodes
/// ignore it. It tells apart two processes with the same node id, which is the default for two on one host, and lets the server recognise a
/// repeated write.
struct MessageID: Sendable, Hashable, CustomStringConvertible {
    struct Renewal: Sendable, Hashable {
        /// The revision of the write that acquired the lease.
        var token: UInt64
        /// The number of the renewal, from 1.
        var count: UInt64
    }

    /// 22 letters and digits (131 bits), new for each attempt to acquire the lease.
    var termID: String
    /// Nil for the write that acquires the lease.
    var renewal: Renewal?

    static let termIDLength = 22
    private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    init(termID: String, renewal: Renewal? = nil) {
        self.termID = termID
        self.renewal = renewal
    }

    /// Nil if the text is not a message ID of `qq`.
    init?(_ text: String) {
        let parts = text[...].utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 4, parts[0].elementsEqual("qq".utf8) else { return nil }
        guard parts[1].count == Self.termIDLength, parts[1].allSatisfy({ Self.digits.contains($0) }) else { return nil }
        termID = String(Substring(parts[1]))
        if parts.count == 4 {
            guard let token = Self.number(Substring(parts[2])), let count = Self.number(Substring(parts[3])) else { return nil }
            renewal = Renewal(token: token, count: count)
        }
    }

    var description: String {
        guard let renewal else { return "qq:\(termID)" }
        return "qq:\(termID):\(renewal.token):\(renewal.count)"
    }

    static func newTermID(using generator: inout some RandomNumberGenerator) -> String {
        String(decoding: (0..<termIDLength).map { _ in digits[Int.random(in: 0..<digits.count, using: &generator)] }, as: UTF8.self)
    }

    static func newTermID() -> String {
        var generator = SystemRandomNumberGenerator()
        return newTermID(using: &generator)
    }

    /// Parses a positive number in the form in which `qq` writes it.
    private static func number(_ text: Substring) -> UInt64? {
        guard let number = UInt64(text), number > 0, String(number) == text else { return nil }
        return number
    }
}
