/// A number that only grows from term to term of one election.
///
/// A store that remembers the largest token it has seen and refuses smaller ones is safe even from a holder that does not yet know of its loss.
public struct FencingToken: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var value: UInt64

    public init(_ value: UInt64) { self.value = value }

    public static func < (left: FencingToken, right: FencingToken) -> Bool { left.value < right.value }

    public var description: String { String(value) }
}
