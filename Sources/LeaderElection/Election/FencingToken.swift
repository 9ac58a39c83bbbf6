/// A number that only grows from term to term of one election.
///
/// A store that remembers the largest token it has seen, and refuses writes with a smaller one, is safe even from a leader that does not
/// know yet that it has lost the lease. Send it with each write.
public struct FencingToken: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// The number.
    public let value: UInt64

    /// A token with this number.
    public init(_ value: UInt64) { self.value = value }

    /// Reads the number alone.
    public init(from decoder: any Decoder) throws { value = try decoder.singleValueContainer().decode(UInt64.self) }

    /// Writes the number alone.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }

    /// Whether the first token is of an earlier term.
    public static func < (left: FencingToken, right: FencingToken) -> Bool { left.value < right.value }

    /// The number in decimal digits.
    public var description: String { String(value) }
}
